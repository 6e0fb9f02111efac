/** Time as a value that is passed in, so that a test can drive an agent without sleeping. */

/** Cancels what it was returned for; calling it twice or late is harmless. */
export type Cancel = () => void;

export interface Clock {
  /** Monotonic milliseconds; the origin means nothing. */
  now(): number;
  /** Milliseconds since the epoch, for people and for files; it may jump. */
  wall(): number;
  /** Calls `wake` once when `now()` has reached `deadline` (monotonic ms). */
  at(deadline: number, wake: () => void): Cancel;
}

// setTimeout fires at once for delays over 2^31-1 ms; waking early and going back to sleep is harmless.
const DELAY_MS_MAX = 2 ** 31 - 1;

/** The machine's own clock. Its timers keep the process alive. */
export const systemClock: Clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
  at(deadline, wake) {
    const delay = Math.max(0, Math.ceil(deadline - performance.now()));
    const handle = setTimeout(wake, Math.min(delay, DELAY_MS_MAX));
    return () => clearTimeout(handle);
  },
};
