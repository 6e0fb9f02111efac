/** How cost grows with size: a law that holds on every machine, however slow, where a bound in milliseconds does not. */

const ROUNDS_MIN = 3;
const ROUNDS_MAX = 12;

/**
 * How many times dearer `cost` is at `large` than at `small`. It prepares what it needs and gives the ms of the work alone (`timed`).
 * The least of several runs counts: what else the machine does makes a run dearer, never cheaper. While the factor is
 * `limit` or more, more runs are made.
 */
export async function growth(
  cost: (size: number) => number | Promise<number>,
  { small, large, limit }: { small: number; large: number; limit: number },
): Promise<number> {
  const least = { small: Number.POSITIVE_INFINITY, large: Number.POSITIVE_INFINITY };
  for (let round = 0; round < ROUNDS_MAX; round += 1) {
    least.small = Math.min(least.small, await cost(small));
    least.large = Math.min(least.large, await cost(large));
    if (round + 1 >= ROUNDS_MIN && least.large < limit * least.small) break;
  }
  return least.large / least.small;
}

/** The processor time that this process has used, in ms. On the clock, long work would pay for all that runs beside it. */
export function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** The processor time of a piece of work, in ms; at least a microsecond, the least that is counted. */
export function timed(work: () => void): number {
  const before = cpuMs();
  work();
  return Math.max(cpuMs() - before, 0.001);
}
