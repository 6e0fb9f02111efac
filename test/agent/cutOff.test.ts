/** Agents that were cut off from a living etcd for longer than their leases live. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { AgentWorld } from '../support/agentWorld.ts';

const TTL = { leaseTtlSeconds: 60 };
const THREE_TTL_MS = 180_000;

describe('agents that were cut off for three times the life of a lease', () => {
  for (const count of [2, 3])
    for (const line of ['refused', 'silent'] as const)
      test(`delete no route of each other's (${count} hosts, line ${line}), and hold none in the end`, async () => {
        const world = new AgentWorld(1, TTL);
        const hosts = await world.fleet(count);
        const before = hosts.map(({ key, subnet }) => [key, subnet]);
        for (const { etcd } of hosts) etcd.setLine(line);
        await world.run(THREE_TTL_MS);
        assert.equal(world.etcd.under(`/coreos.com/network/subnets/`).length, 0, 'all ran out');
        for (const { etcd } of hosts) etcd.setLine('up');
        await world.until('all have all routes', () => world.converged);
        await world.run(10_000);
        assert.ok(world.converged);
        for (const host of hosts) {
          assert.deepEqual(
            host.writes().filter((write) => write.startsWith('delete')),
            [],
          );
          assert.doesNotMatch(host.readyz(), /sweep-held/);
        }
        assert.deepEqual(
          hosts.map(({ key, subnet }) => [key, subnet]),
          before,
        );
        await world.close();
      });

  test('hold the route of one that does not return, and let it go when the hold ends', async () => {
    const world = new AgentWorld(1, { ...TTL, sweepHoldMs: 120_000 });
    const [one, other] = await world.fleet(2);
    assert.ok(one !== undefined && other !== undefined);
    for (const { etcd } of world.hosts) etcd.setLine('refused');
    await world.run(THREE_TTL_MS);
    await other.kill();
    one.etcd.setLine('up');
    await world.run(10_000);
    assert.match(one.readyz(), /sweep-held/);
    assert.equal(one.routes().length, 1);
    await world.until('it is gone', () => one.routes().length === 0, 200_000);
    await world.close();
  });
});
