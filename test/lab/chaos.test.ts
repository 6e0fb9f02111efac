/** The short form of test/long/chaos.test.ts: three agents, one round. */
import { test } from 'node:test';
import { needs } from '../support/needs.ts';
import { runChaos } from './chaosRun.ts';

const tools = ['root', 'ip', 'unshare', 'setpriv', 'nsenter', 'nft', 'etcd', 'etcdctl'];

test('three agents and three etcd members under random faults: subnets and foreign routes stay, and the kernels end as the leases say', {
  skip: needs(...tools) ?? false,
  timeout: 180_000,
}, async () => {
  await runChaos({ seed: 7, agents: 3, rounds: 1, roundMs: 12_000 });
});
