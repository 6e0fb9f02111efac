/**
 * One host's sight of the world's clock: its wall time may jump, and while the host is frozen (SIGSTOP, a paused
 * machine) nothing wakes on it, though its monotonic time goes on.
 */
import type { Cancel, Clock } from '../../src/core/index.ts';

export class HostClock implements Clock {
  readonly #world: Clock;
  #skew = 0;
  #thawsAt = 0;

  constructor(world: Clock) {
    this.#world = world;
  }

  now(): number {
    return this.#world.now();
  }

  wall(): number {
    return this.#world.wall() + this.#skew;
  }

  at(deadline: number, wake: () => void): Cancel {
    const woken = (): void => {
      // What was due meanwhile comes all at once, in its order.
      if (this.now() < this.#thawsAt) cancel = this.#world.at(this.#thawsAt, woken);
      else wake();
    };
    let cancel = this.#world.at(deadline, woken);
    return () => cancel();
  }

  /** Somebody sets the wall time. */
  jump(ms: number): void {
    this.#skew += ms;
  }

  freeze(ms: number): void {
    this.#thawsAt = Math.max(this.#thawsAt, this.now() + ms);
  }

  thaw(): void {
    this.#thawsAt = 0;
  }
}
