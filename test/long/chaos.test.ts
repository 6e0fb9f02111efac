/** `npm run long -- chaos`: six agents and three etcd members under random faults for ten minutes. SEED and SECONDS change that. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runChaos } from '../lab/chaosRun.ts';
import { needs } from '../support/needs.ts';

const { SEED = '1', SECONDS = '600', AGENTS = '6' } = process.env;
const ROUND_SECONDS = 30;
const SETTLE_MS = 5_000;
const tools = ['root', 'ip', 'unshare', 'setpriv', 'nsenter', 'nft', 'etcd', 'etcdctl'];

test(`SEED=${SEED}: ${AGENTS} agents and three etcd members under random faults for ${SECONDS} s`, {
  skip: needs(...tools) ?? false,
  timeout: 3_600_000,
}, async () => {
  const rounds = Math.max(1, Math.round(Number(SECONDS) / ROUND_SECONDS));
  const { ms, faults } = await runChaos({
    seed: Number(SEED),
    agents: Number(AGENTS),
    rounds,
    roundMs: ROUND_SECONDS * 1_000,
  });
  const sorted = ms.map(Math.round).sort((a, b) => a - b);
  process.stdout.write(
    `figures: seed ${SEED}: ${faults} events in ${rounds} rounds; quiet to every kernel right, ms: ${sorted.join(' ')}\n`,
  );
  assert.ok((sorted.at(-1) ?? 0) <= SETTLE_MS, 'it took longer than 5 s to settle');
});
