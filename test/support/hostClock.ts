/**
 * One host's sight of the world's clock: its wall time may jump, and while the host is frozen (SIGSTOP, a paused
 * machine) nothing wakes on it, though its monotonic time goes on.
 */
import type { Cancel, Clock } from '../../src/core/index.ts';

export class HostClock implements Clock {
  readonly #world: Clock;
  #skew = 0;
  #thawsAt = 0;
  /** What was due while the host was frozen, in order. */
  readonly #missed = new Set<() => void>();

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
      if (this.now() < this.#thawsAt) this.#missed.add(wake);
      else wake();
    };
    const cancel = this.#world.at(deadline, woken);
    return () => {
      cancel();
      this.#missed.delete(wake);
    };
  }

  /** Somebody sets the wall time. */
  jump(ms: number): void {
    this.#skew += ms;
  }

  freeze(ms: number): void {
    this.#thawsAt = Math.max(this.#thawsAt, this.now() + ms);
    this.#world.at(this.#thawsAt, () => {
      if (this.now() >= this.#thawsAt) this.thaw();
    });
  }

  thaw(): void {
    this.#thawsAt = 0;
    const missed = [...this.#missed];
    this.#missed.clear();
    for (const wake of missed) wake();
  }
}
