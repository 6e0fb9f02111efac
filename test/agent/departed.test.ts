import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { AgentWorld, CONFIG_KEY, SUBNETS } from '../support/agentWorld.ts';

const TTL_MS = 60_000;
const config = (last: number): string =>
  `{"Network":"10.100.0.0/16","SubnetMin":"10.100.1.0","SubnetMax":"10.100.${last}.0","Backend":{"Type":"host-gw"}}`;

/** Two hosts have the only two subnets, a third waits for one; then one of the two loses its lease unseen by the third. */
async function scene(address: string) {
  const world = new AgentWorld(1, { leaseTtlSeconds: TTL_MS / 1000 });
  world.etcd.put(CONFIG_KEY, config(2));
  const away = world.agent({ address: '10.10.10.101' });
  const other = world.agent({ address: '10.10.10.102' });
  await world.until('both hold', () => away.ready && other.ready);
  const waiting = world.agent({ address });
  await world.until('the third waits', () => /is full/.test(waiting.readyz()));
  // Until the view is on disk.
  await world.run(60_000);
  const { subnet } = away;
  assert.ok(subnet !== undefined);
  const leaves = async (): Promise<void> => {
    await away.stop();
    await world.run(2 * TTL_MS);
    const left = world.etcd.under(SUBNETS).filter(({ value }) => value.includes(away.address));
    assert.deepEqual(left, [], 'its lease has ended');
  };
  return { world, waiting, away, subnet, leaves };
}

describe('a subnet whose lease has ended', () => {
  for (const how of ['cut off', 'stopped'] as const)
    test(`is left for its host while another is free, also by an agent that was ${how} meanwhile`, async () => {
      // Where a host looks first follows from its address: without the memory some of these would take it.
      for (const last of [103, 104, 105, 106]) {
        const { world, waiting, away, subnet, leaves } = await scene(`10.10.10.${last}`);
        if (how === 'stopped') await waiting.stop();
        else waiting.etcd.setLine('refused');
        await leaves();
        world.etcd.put(CONFIG_KEY, config(3));
        if (how === 'stopped') waiting.start();
        else waiting.etcd.setLine('up');
        await world.until('it has the new one', () => waiting.ready);
        assert.equal(waiting.subnet, '10.100.3.0/24');
        away.start();
        await world.until('its host has it again', () => away.ready && world.converged);
        assert.equal(away.subnet, subnet);
        await world.close();
      }
    });

  test('is given to another host where no other is free, who says whose it was; its host waits then', async () => {
    const { world, waiting, away, subnet, leaves } = await scene('10.10.10.103');
    await leaves();
    await world.until('it is taken', () => waiting.ready);
    assert.equal(waiting.subnet, subnet);
    const said = waiting.log.lines.filter((line) => /10\.10\.10\.101 held before/.test(line));
    assert.equal(said.length, 1, waiting.log.lines.join('\n'));
    away.start();
    await world.run(30_000);
    assert.equal(away.ready, false);
    assert.match(away.readyz(), /belongs to 10\.10\.10\.103 in etcd/);
    assert.equal(away.subnet, undefined);
    await world.close();
  });
});
