/** The simulation at length: `SEEDS=20000 npm run long -- sim`; `SEED=5001` begins there; `BAD=10` goes on after failures. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runSeed } from '../sim/story.ts';

const { SEEDS = '20000', SEED = '1', BAD = '1' } = process.env;
const EVERY = 250;

test(`${SEEDS} seeds of five agents from ${SEED} on`, { timeout: 36_000_000 }, async () => {
  console.log(`SEEDS=${SEEDS} SEED=${SEED}`);
  const times: number[] = [];
  const failed: string[] = [];
  const first = Number(SEED);
  const begin = performance.now();
  for (let seed = first; seed < first + Number(SEEDS) && failed.length < Number(BAD); seed += 1) {
    await runSeed(seed).then(
      ({ settledMs }) => void times.push(settledMs),
      (error: unknown) => {
        failed.push(String(error));
        console.log(String(error).split('\n', 1)[0]);
      },
    );
    if ((seed - first + 1) % EVERY === 0) console.log(figures(times, failed, begin));
  }
  console.log(figures(times, failed, begin));
  assert.deepEqual(failed, []);
});

function figures(times: readonly number[], failed: readonly string[], begin: number): string {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number): number | undefined => sorted[Math.floor(share * sorted.length)];
  const seconds = Math.round((performance.now() - begin) / 1000);
  return `FIGURES sim: ${times.length} seeds settled, ${failed.length} failed, in ${seconds} s; virtual ms from heal to settled: p50 ${at(0.5)}, p90 ${at(0.9)}, p99 ${at(0.99)}, max ${sorted.at(-1)}`;
}
