/** A clock that stands still until a test moves it. */
import type { Cancel, Clock } from '../../src/core/index.ts';

export class ManualClock implements Clock {
  #now = 0;
  readonly #wall: number;
  #timers: { readonly deadline: number; readonly wake: () => void }[] = [];

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
    const timer = { deadline, wake };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  /** How many timers wait. */
  get pending(): number {
    return this.#timers.length;
  }

  /** The earliest deadline that waits. */
  get next(): number | undefined {
    return this.pending === 0
      ? undefined
      : Math.min(...this.#timers.map((timer) => timer.deadline));
  }

  /** Moves `ms` on, waking every timer on the way in the order of their deadlines. */
  advance(ms: number): void {
    const end = this.#now + ms;
    for (let next = this.next; next !== undefined && next <= end; next = this.next) {
      this.#now = Math.max(this.#now, next);
      const due = this.#timers.find((timer) => timer.deadline === next);
      this.#timers = this.#timers.filter((timer) => timer !== due);
      due?.wake();
    }
    this.#now = end;
  }
}
