/** A view on disk of an etcd that is another one now: what that one lacks was never deleted, and no route goes by its word. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { CONFIG, CONFIG_KEY, SUBNETS } from '../support/agentWorld.ts';
import { SHORT, saved, TTL_MS } from '../support/savedWorld.ts';

describe('an old view on disk', () => {
  test('of a wiped etcd that was set up anew lets no route go, however few the peers', async () => {
    const { world, hosts, host } = await saved(2);
    const writes = host.writes();
    for (const each of hosts) await each.kill();
    world.etcd.wipe();
    world.etcd.put(CONFIG_KEY, CONFIG);
    for (let i = 0; i < 50; i += 1) world.etcd.put('/elsewhere', String(i));
    host.start();
    await world.until('its key is back', () => world.etcd.under(SUBNETS).length === 1);
    await world.run(60_000);
    assert.deepEqual(host.writes(), writes);
    assert.match(host.readyz(), /"sweep-held"/);
    hosts[1]?.start();
    await world.until('all is well', () => /"conditions":\[\]/.test(host.readyz()));
    assert.deepEqual(host.writes(), writes);
    await world.close();
  });

  for (const meanwhile of ['not long', 'for longer than its lease lives'])
    test(`of a wiped etcd that is past the old revision and has forgotten it lets no route go either, of a host that was off ${meanwhile}`, async () => {
      const { world, hosts, host } = await saved(3, SHORT);
      const late = hosts.at(-1);
      const [routes, writes] = [host.routes(), host.writes()];
      await host.kill();
      late?.etcd.setLine('refused');
      if (meanwhile !== 'not long') await world.run(2 * TTL_MS);
      world.etcd.wipe('same-id');
      for (let i = 0; i < 80; i += 1) world.etcd.put('/elsewhere', String(i));
      world.etcd.put(CONFIG_KEY, CONFIG);
      world.etcd.compact();
      await world.until('one is back', () => world.etcd.under(SUBNETS).length === 1);
      host.start();
      await world.until('its key is back', () => world.etcd.under(SUBNETS).length === 2);
      await world.run(10_000);
      assert.deepEqual([host.routes(), host.writes()], [routes, writes]);
      assert.match(host.readyz(), /"sweep-held"/);
      await world.close();
    });

  test('that lacks a peer which came later lets not its route go either, if etcd was wiped since', async () => {
    const { world, host } = await saved(2);
    const old = host.machine.view;
    const late = world.agent({ address: '10.10.10.120' });
    await world.until('all know', () => late.ready && world.converged);
    const [routes, writes] = [host.routes(), host.writes()];
    await host.kill();
    host.machine.view = old;
    late.etcd.setLine('refused');
    world.etcd.wipe();
    world.etcd.put(CONFIG_KEY, CONFIG);
    await world.until('the other one is back', () => world.etcd.under(SUBNETS).length === 1);
    host.start();
    await world.until('its key is back', () => world.etcd.under(SUBNETS).length === 2);
    await world.run(10_000);
    assert.deepEqual([host.routes(), host.writes()], [routes, writes]);
    assert.match(host.readyz(), /"sweep-held"/);
    late.etcd.setLine('up');
    await world.until('all is well', () => /"conditions":\[\]/.test(host.readyz()));
    assert.deepEqual(host.writes(), writes);
    await world.close();
  });

  test('of another cluster lets no route go, though config and own key stand there just as before', async () => {
    const { world, hosts, host } = await saved(2);
    const writes = host.writes();
    const [config, own] = [CONFIG_KEY, host.key].map((key) => world.etcd.store.get(key));
    assert.ok(config !== undefined && own !== undefined);
    for (const each of hosts) await each.kill();
    world.etcd.wipe();
    const upTo = (revision: number): void => {
      while (world.etcd.store.revision < revision - 1) world.etcd.put('/elsewhere', 'x');
    };
    upTo(config.createRevision);
    world.etcd.put(CONFIG_KEY, CONFIG);
    upTo(own.createRevision);
    world.etcd.store.grant(own.lease, 86_400);
    world.etcd.put(own.key, own.value, own.lease);
    upTo(50);
    assert.deepEqual(world.etcd.store.get(own.key), own);
    host.start();
    await world.run(60_000);
    assert.deepEqual(host.writes(), writes);
    assert.match(host.readyz(), /"sweep-held"/);
    await world.close();
  });
});
