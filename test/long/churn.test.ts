/** `npm run long -- churn`: 20,000 puts and deletes over a bad connection, for 50 seeds. SEEDS and COUNT change that. */
import { test } from 'node:test';
import { churn } from '../etcd/churn.ts';
import { needs } from '../support/needs.ts';

const { SEEDS = '50', COUNT = '20000', SEED } = process.env;
const seeds =
  SEED === undefined ? Array.from({ length: Number(SEEDS) }, (_, i) => i + 1) : [Number(SEED)];

test(`${COUNT} puts and deletes over a bad connection, ${seeds.length} seeds: the final view is etcd's, each time`, {
  skip: needs('etcd') ?? false,
  timeout: 3_600_000,
}, async () => {
  const begun = performance.now();
  const all = await churn(seeds, Number(COUNT));
  const sum = (of: 'events' | 'snapshots' | 'faults'): number =>
    all.reduce((total, one) => total + one[of], 0);
  const seconds = ((performance.now() - begun) / 1000).toFixed(0);
  process.stdout.write(
    `figures: ${all.length} seeds in ${seconds} s: ${sum('faults')} faults, ${sum('events')} events, ${sum('snapshots')} snapshots, 0 wrong views\n`,
  );
});
