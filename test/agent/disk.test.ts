/** The view on disk: a host has its routes and its subnet back without etcd, and never acts on an old view alone. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type AgentHost, CONFIG, CONFIG_KEY, SUBNETS } from '../support/agentWorld.ts';
import { reboot, SHORT, said, saved, TTL_MS, WRITTEN_MS } from '../support/savedWorld.ts';

/** How often it has asked what changed, and for all leases. */
const calls = ({ etcd }: AgentHost): number[] =>
  (['compare', 'list'] as const).map((call) => etcd.calls.get(call) ?? 0);

describe('a host that boots without etcd', () => {
  for (const line of ['refused', 'silent'] as const) {
    test(`(${line}) has routes and firewall at once, subnet file and READY after half a second, all from disk`, async () => {
      const { world, host } = await saved(4);
      const { subnet } = host;
      const routes = host.routes();
      await host.kill();
      reboot(host);
      host.etcd.setLine(line);
      host.start();
      await world.run(480);
      assert.deepEqual(host.routes(), routes);
      assert.deepEqual(host.machine.deeds, ['firewall']);
      assert.equal(host.subnet, undefined, 'etcd has half a second for its word');
      await world.run(520);
      assert.deepEqual([host.subnet, host.machine.deeds.at(-1)], [subnet, 'READY']);
      assert.match(host.machine.subnetFile, /FLANNEL_NETWORK=10\.100\.0\.0\/16/);
      assert.equal(host.ready, false, 'the view is stale');
      assert.match(host.readyz(), /"code":"view","sentence":"4 leases from the view on disk/);
      assert.deepEqual(said(host, /waiting for the leases/), []);
      assert.equal(
        said(host, /as the disk says/)[0],
        `warn holding subnet ${subnet} as the disk says: etcd has not answered`,
      );

      const writes = host.writes();
      host.etcd.setLine('up');
      await world.until('all is well', () => /"conditions":\[\]/.test(host.readyz()));
      await world.run(60_000);
      assert.deepEqual([host.writes(), host.subnet], [writes, subnet]);
      assert.equal(host.machine.deeds.filter((deed) => deed === 'READY').length, 1);
      await world.close();
    });
  }

  test("longer than its lease lives says that its subnet may be another's by now, and gives it up only when it is", async () => {
    const { world, hosts, host } = await saved(3, SHORT);
    const { subnet, key } = host;
    await host.kill();
    reboot(host);
    await world.run(2 * TTL_MS);
    assert.equal(world.etcd.store.get(key), undefined, 'its lease ran out');
    host.etcd.setLine('refused');
    host.start();
    await world.run(1_000);
    assert.equal(host.subnet, subnet);
    assert.match(said(host, /as the disk says/)[0] ?? '', /may belong to another one by now$/);
    host.etcd.setLine('up');
    await world.until('it is back', () => world.converged);
    assert.deepEqual([host.subnet, hosts.every((each) => each.ready)], [subnet, true]);

    await host.kill();
    world.etcd.put(key, '{"PublicIP":"10.10.10.250","BackendType":"host-gw"}');
    host.etcd.setLine('refused');
    host.start();
    await world.run(1_000);
    assert.equal(host.subnet, subnet);
    host.etcd.setLine('up');
    await world.until('it knows', () => /belongs to 10\.10\.10\.250 in etcd/.test(host.readyz()));
    await world.close();
  });

  test('takes nothing from a disk that was last proven wrong: another host had the subnet', async () => {
    const { world, host } = await saved(2);
    world.etcd.put(host.key, '{"PublicIP":"10.10.10.250","BackendType":"host-gw"}');
    await world.until('it knows', () => /belongs to 10\.10\.10\.250/.test(host.readyz()));
    await world.run(WRITTEN_MS);
    await host.kill();
    reboot(host);
    host.etcd.setLine('refused');
    host.start();
    await world.run(10_000);
    assert.equal(host.subnet, undefined);
    assert.ok(!host.machine.deeds.includes('READY'));
    await world.close();
  });

  test('judges the leases on disk by its surroundings of now', async () => {
    const { world, hosts, host } = await saved(3);
    const peer = hosts.at(-1)?.subnet ?? '';
    await host.kill();
    reboot(host);
    const device = host.kernel.addLink('eth1');
    host.kernel.addAddress(device, peer.replace('.0/24', '.9/24'));
    host.etcd.setLine('refused');
    host.start();
    await world.run(1_000);
    assert.equal(host.routes().length, 1);
    assert.ok(host.routes().every((route) => !route.startsWith(peer)));
    await world.close();
  });

  test('goes by the word of etcd where that comes in time, and doubts nothing', async () => {
    const { world, host } = await saved(3);
    await host.kill();
    reboot(host);
    host.start();
    await world.until('READY', () => host.machine.deeds.at(-1) === 'READY');
    assert.deepEqual(said(host, /^warn|disk says/), []);
    await world.until('all is well', () => /"conditions":\[\]/.test(host.readyz()));
    await world.close();
  });
});

describe('an old view on disk', () => {
  test('changes and removes no route of the kernel while etcd is silent, whatever has come since', async () => {
    const { world, hosts, host } = await saved(4);
    const [, moves, leaves] = hosts;
    assert.ok(moves !== undefined && leaves !== undefined);
    const old = host.machine.view;
    moves.move('10.10.10.77');
    await leaves.stop();
    world.etcd.delete(leaves.key);
    const comes = world.agent({ address: '10.10.10.120' });
    await world.until('all know', () => comes.ready && world.converged);
    await world.run(60_000);
    const routes = host.routes();
    await host.kill();
    host.machine.view = old;
    host.etcd.setLine('refused');
    const writes = host.writes().length;
    host.start();
    await world.run(60_000);
    // The one that left is routed again: that harms nobody, and is taken back when etcd says so.
    const added = `${
      leaves.subnet ??
      old?.entries
        .find(({ key }) => key === leaves.key)
        ?.key.slice(SUBNETS.length)
        .replace('-', '/')
    } via ${leaves.address}`;
    assert.deepEqual(host.writes().slice(writes), [`add ${added}`]);
    host.etcd.setLine('up');
    await world.until('it is as etcd says', () => world.converged);
    assert.deepEqual(host.routes(), routes);
    assert.deepEqual(host.writes().slice(writes), [`add ${added}`, `delete ${added}`]);
    await world.close();
  });

  test('is no reason to hold a route where only our own lease ran out meanwhile', async () => {
    const { world, hosts, host } = await saved(4, SHORT);
    const gone = hosts.at(-1);
    assert.ok(gone !== undefined);
    await host.kill();
    await gone.stop();
    await world.run(2 * TTL_MS);
    assert.equal(world.etcd.under(SUBNETS).length, 2, 'two leases ran out');
    host.start();
    await world.until(
      'it has its key again, and no route to the one that left',
      () => world.converged,
    );
    assert.equal(host.routes().length, 2);
    await world.close();
  });

  for (const config of ['short', 'very long'] as const)
    test(`is no reason to hold a route, nor to list, where a peer left, or a value of a megabyte came and went (${config} config)`, async () => {
      const { world, hosts, host } = await saved(3);
      if (config === 'very long')
        world.etcd.put(CONFIG_KEY, CONFIG.replace('{', `{"Comment":"${'x'.repeat(5_000)}",`));
      world.etcd.put(`${SUBNETS}huge`, 'x'.repeat(1_000_000));
      await world.run(1_000);
      world.etcd.delete(`${SUBNETS}huge`);
      await world.run(60_000);
      assert.equal(host.machine.view?.whole, true);
      const gone = hosts.at(-1);
      assert.ok(gone !== undefined);
      await host.kill();
      const [compare = 0, list = 0] = calls(host);
      host.start();
      await world.until('it is right', () => world.converged);
      assert.deepEqual(calls(host), [compare + 1, list]);
      await host.kill();
      await gone.stop();
      world.etcd.delete(gone.key);
      host.start();
      await world.until('the route is gone', () => world.converged);
      assert.deepEqual([host.holding, host.routes().length], [false, 1]);
      await world.close();
    });

  test('holds everything where the config was deleted while the agent was stopped', async () => {
    const { world, hosts, host } = await saved(3);
    const { subnet } = host;
    const writes = host.writes();
    await host.kill();
    world.etcd.delete(CONFIG_KEY);
    host.start();
    await world.run(60_000);
    assert.deepEqual([host.writes(), host.subnet], [writes, subnet]);
    assert.match(host.readyz(), /\/config is gone: everything stays as it is/);
    world.etcd.put(CONFIG_KEY, CONFIG);
    await world.until('all is well', () =>
      hosts.every((each) => /"conditions":\[\]/.test(each.readyz())),
    );
    assert.deepEqual(host.writes(), writes);
    await world.close();
  });
});

describe('a fleet that starts again', () => {
  test('lists no leases: each asks once what has changed, and writes nothing anywhere', async () => {
    const { world, hosts } = await saved(6);
    const before = hosts.map((host) => host.writes());
    const { revision } = world.etcd.store;
    const asked = hosts.map(calls);
    for (const host of hosts) await host.kill();
    for (const host of hosts) host.start();
    await world.until('all are ready', () => world.converged);
    assert.deepEqual(
      hosts.map(calls),
      asked.map(([compare = 0, list = 0]) => [compare + 1, list]),
    );
    const views = hosts.map(({ machine }) => machine.viewWrites);
    await world.run(120_000);
    assert.deepEqual(
      hosts.map(({ machine }) => machine.viewWrites),
      views,
    );
    assert.deepEqual(
      hosts.map((host) => host.writes()),
      before,
    );
    assert.equal(world.etcd.store.revision, revision);
    await world.close();
  });

  test('lists where a key has gone meanwhile', async () => {
    const { world, hosts, host } = await saved(3);
    const gone = hosts.at(-1);
    assert.ok(gone !== undefined);
    await host.kill();
    await gone.stop();
    world.etcd.delete(gone.key);
    const [compare = 0, list = 0] = calls(host);
    host.start();
    await world.until('it is right', () => world.converged);
    assert.deepEqual(calls(host), [compare + 1, list + 1]);
    await world.close();
  });
});
