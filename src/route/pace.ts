/**
 * How often the kernel is dumped: at once when it was calm, then at most every 20 ms, and up to a second apart while
 * dumps keep finding nothing to do (somebody else is changing routes in a loop).
 */

const GAP_MS = 20;
const GAP_MS_MAX = 1000;
/** So many dumps in a row without any work make a storm. */
const FRUITLESS_MAX = 10;

export class DumpPace {
  #last = Number.NEGATIVE_INFINITY;
  #gap = GAP_MS;
  #fruitless = 0;

  /** The earliest time of the next dump. */
  get due(): number {
    return this.#last + this.#gap;
  }

  /** A dump begins. */
  begun(now: number): void {
    const calm = now - this.#last > 2 * this.#gap;
    this.#last = now;
    this.#fruitless = calm ? 0 : this.#fruitless + 1;
    if (calm) this.#gap = GAP_MS;
    else if (this.#fruitless > FRUITLESS_MAX) this.#gap = Math.min(GAP_MS_MAX, this.#gap * 2);
  }

  /** Something was found to do: looking often is worth it. */
  worked(): void {
    this.#fruitless = 0;
    this.#gap = GAP_MS;
  }
}
