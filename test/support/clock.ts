/** A clock that stands still until a test moves it. */
import type { Cancel, Clock } from '../../src/core/index.ts';

interface Timer {
  readonly deadline: number;
  /** Of two with one deadline, the one that was set first wakes first. */
  readonly order: number;
  readonly wake: () => void;
}

export class ManualClock implements Clock {
  #now = 0;
  #order = 0;
  readonly #wall: number;
  /** The next one to wake is the last. */
  readonly #timers: Timer[] = [];

  /** `wall` is the epoch time in ms at the start. */
  constructor(wall = 1_700_000_000_000) {
    this.#wall = wall;
  }

  now(): number {
    return this.#now;
  }

  wall(): number {
    return this.#wall + this.#now;
  }

  at(deadline: number, wake: () => void): Cancel {
    this.#order += 1;
    const timer = { deadline, order: this.#order, wake };
    this.#timers.splice(this.#place(timer), 0, timer);
    return () => {
      const place = this.#place(timer);
      if (this.#timers[place] === timer) this.#timers.splice(place, 1);
    };
  }

  /** How many timers wait. */
  get pending(): number {
    return this.#timers.length;
  }

  /** The earliest deadline that waits. */
  get next(): number | undefined {
    return this.#timers.at(-1)?.deadline;
  }

  /** Moves `ms` on, waking every timer on the way in the order of their deadlines. */
  advance(ms: number): void {
    const end = this.#now + ms;
    for (let next = this.next; next !== undefined && next <= end; next = this.next) {
      this.#now = Math.max(this.#now, next);
      this.#timers.pop()?.wake();
    }
    this.#now = end;
  }

  /** The index of the first timer that does not wake after `timer`. */
  #place({ deadline, order }: Timer): number {
    let low = 0;
    let high = this.#timers.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const other = this.#timers[middle];
      const later =
        other !== undefined &&
        (other.deadline > deadline || (other.deadline === deadline && other.order > order));
      if (later) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
