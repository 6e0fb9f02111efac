/** How long to wait before trying again: exponential, capped, with jitter. */

export interface BackoffOptions {
  /** Milliseconds before the first retry. */
  readonly firstMs: number;
  /** Upper bound in milliseconds. */
  readonly maxMs: number;
}

/** A number in [0, 1), as Math.random; passed in so that a run can be replayed from a seed. */
export type Random = () => number;

/**
 * Milliseconds to wait after the `attempt`-th failure (1 for the first): between half of and the full
 * `firstMs * 2^(attempt-1)`, at most `maxMs`. The jitter keeps a fleet from retrying in step.
 */
export function backoffMs(attempt: number, options: BackoffOptions, random: Random): number {
  const full = Math.min(options.maxMs, options.firstMs * 2 ** Math.min(attempt - 1, 30));
  return full / 2 + (full / 2) * random();
}
