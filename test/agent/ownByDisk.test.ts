/** A host whose disk names a subnet that another host has: nobody is told of it, whatever etcd can or cannot say. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type AgentHost, CONFIG, CONFIG_KEY } from '../support/agentWorld.ts';
import { reboot, SHORT, saved, TTL_MS, WRITTEN_MS } from '../support/savedWorld.ts';

const OTHER = '{"PublicIP":"10.10.10.250","BackendType":"host-gw"}';

/** What says to others that the subnet is ours. */
const told = ({ machine }: AgentHost): string[] =>
  machine.deeds.filter((deed) => deed !== 'firewall');

describe('a host whose key another one has', () => {
  test('while the config is gone is not ready, and is not after a boot without etcd', async () => {
    const { world, host } = await saved(3, SHORT);
    world.etcd.delete(CONFIG_KEY);
    await world.run(2_000);
    const writes = host.etcd.calls.get('transact');
    world.etcd.put(host.key, OTHER);
    await world.until('it knows', () => /belongs to 10\.10\.10\.250/.test(host.readyz()));
    assert.equal(host.ready, false);
    assert.equal(host.etcd.calls.get('transact'), writes, 'nothing is written');
    await host.kill();
    reboot(host);
    host.etcd.setLine('refused');
    host.start();
    await world.run(3_000);
    assert.deepEqual([host.subnet, told(host)], [undefined, []]);
    await world.close();
  });

  test('or may have, with an address that it had once, is as little held by the disk as by etcd', async () => {
    const { world, hosts, host } = await saved(3, SHORT);
    const before = host.address;
    host.move('10.10.10.150');
    await world.run(20_000);
    const { key } = host;
    world.etcd.store.grant('4242', 86_400);
    world.etcd.put(key, `{"PublicIP":"${before}","BackendType":"host-gw"}`, '4242');
    await world.until('it knows', () => /under an etcd lease that is not ours/.test(host.readyz()));
    await world.run(WRITTEN_MS);
    for (const line of ['up', 'refused'] as const) {
      await host.kill();
      reboot(host);
      host.etcd.setLine(line);
      host.start();
      await world.run(3_000);
      assert.deepEqual([host.subnet, told(host)], [undefined, []], line);
    }
    assert.match(host.readyz(), /may be another host's by now/);
    assert.ok(hosts[1]?.ready);
    await world.close();
  });
});

describe("etcd's word on our own key", () => {
  test('counts wherever within the first half second etcd is back: nobody is told of a subnet that is another host', async () => {
    for (const backAfterMs of [0, 20, 120, 240, 360, 440]) {
      const { world, host } = await saved(3, SHORT);
      await host.kill();
      reboot(host);
      await world.run(2 * TTL_MS);
      world.etcd.put(host.key, OTHER);
      host.etcd.setLine('refused');
      host.start();
      await world.run(backAfterMs);
      host.etcd.setLine('up');
      await world.until('it knows', () => /belongs to 10\.10\.10\.250/.test(host.readyz()));
      await world.run(5_000);
      assert.deepEqual([host.subnet, told(host)], [undefined, []], `${backAfterMs} ms`);
      await world.close();
    }
  });

  test('that it is gone lets the disk count, and says so', async () => {
    const { world, host } = await saved(3, SHORT);
    const { subnet } = host;
    await host.kill();
    reboot(host);
    await world.run(2 * TTL_MS);
    // The watch gets no answer, the read of the one key does.
    for (const call of ['compare', 'list', 'watch'] as const) host.etcd.lose(call, 'answer');
    host.start();
    await world.run(1_000);
    assert.deepEqual([host.subnet, told(host).at(-1)], [subnet, 'READY']);
    assert.match(host.readyz(), /etcd does not have it/);
    await world.close();
  });
});

describe('a subnet that was prepared', () => {
  test("and is another host's is forgotten: no forwarding, and the next one is held as if it had never been", async () => {
    const { world, host } = await saved(3, SHORT);
    await host.kill();
    reboot(host);
    await world.run(2 * TTL_MS);
    world.etcd.put(host.key, OTHER);
    host.start();
    await world.until('it knows', () => /belongs to 10\.10\.10\.250/.test(host.readyz()));
    await world.run(1_000);
    const passes = host.machine.firewall.length;
    host.kernel.addLink('docker0');
    world.etcd.put(CONFIG_KEY, CONFIG.replace('{', '{ '));
    await world.run(90_000);
    assert.deepEqual(told(host), []);
    assert.equal(host.machine.firewall.length, passes, 'no rules are made for it any more');

    world.etcd.delete(host.key);
    await world.until('READY', () => host.machine.deeds.includes('READY'));
    await world.run(1_000);
    assert.ok(host.ready);
    await world.close();
  });
});
