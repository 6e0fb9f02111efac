/** What is held in one life of an agent is held in the next: nobody has said in between that it may go. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { CONFIG, CONFIG_KEY, SUBNETS } from '../support/agentWorld.ts';
import { reboot, saved, WRITTEN_MS } from '../support/savedWorld.ts';

/** After a change, and with its jitter, the view is on disk by then. */
const WRITTEN_AGAIN_MS = 30_000 + WRITTEN_MS;

describe('a hold', () => {
  for (const how of ['restarted', 'rebooted'] as const)
    test(`goes on where the agent is ${how}, though most that it held have returned`, async () => {
      const { world, hosts, host } = await saved(5);
      const routes = host.routes();
      const [, one, two] = hosts;
      assert.ok(one !== undefined && two !== undefined);
      for (const each of [one, two]) await each.stop();
      for (const { key } of world.etcd.under(SUBNETS)) world.etcd.delete(key);
      await world.until('it holds', () => host.holding);
      await world.run(WRITTEN_AGAIN_MS);
      assert.deepEqual([host.routes(), host.machine.view?.holding], [routes, true]);

      await host.kill();
      if (how === 'rebooted') reboot(host);
      host.start();
      await world.run(WRITTEN_AGAIN_MS);
      assert.deepEqual(host.routes(), routes);
      assert.ok(host.holding, 'two of four are missing, which alone is no mass loss');

      one.start();
      two.start();
      await world.until('all are back', () => hosts.every(({ holding }) => !holding));
      await world.run(WRITTEN_MS);
      assert.deepEqual(
        [host.routes(), host.machine.view?.holding, host.machine.view?.entries.length],
        [routes, false, 6],
      );
      await world.close();
    });

  test('that an operator has ended is not begun again by the next life', async () => {
    const { world, hosts, host } = await saved(5);
    for (const each of hosts.slice(1)) await each.stop();
    for (const { key } of hosts.slice(1)) world.etcd.delete(key);
    await world.until('it holds', () => host.holding);
    await world.run(WRITTEN_MS);
    host.confirm();
    await world.run(WRITTEN_MS);
    assert.deepEqual(host.routes(), []);
    await host.kill();
    host.start();
    await world.run(WRITTEN_MS);
    assert.deepEqual([host.routes(), host.holding], [[], false]);
    await world.close();
  });
});

describe('a host that lost what it knew', () => {
  test('of the leases holds what etcd lacks where etcd lacks its own key too: it may have been wiped', async () => {
    const { world, hosts, host } = await saved(5);
    const routes = host.routes();
    await host.kill();
    host.machine.view = undefined;
    for (const each of hosts.slice(1, 3)) await each.stop();
    world.etcd.wipe('same-id');
    world.etcd.put(CONFIG_KEY, CONFIG);
    await world.until('two hosts are back', () => world.etcd.under(SUBNETS).length === 2);
    host.start();
    await world.run(5_000);
    assert.deepEqual([host.routes(), host.holding], [routes, true]);
    await world.close();
  });

  test('of everything but its routes and the subnet file holds what etcd lacks where etcd knows nothing of it either', async () => {
    const { world, hosts, host } = await saved(3);
    const routes = host.routes();
    await host.forget();
    host.machine.view = undefined;
    for (const each of hosts.slice(1)) await each.stop();
    world.etcd.wipe('same-id');
    world.etcd.put(CONFIG_KEY, CONFIG);
    host.start();
    await world.run(5_000);
    assert.deepEqual([host.routes(), host.holding], [routes, true]);
    await world.close();
  });

  test('of everything, or that is new, sweeps what no lease has', async () => {
    const { world, hosts, host } = await saved(3);
    await host.forget();
    host.machine.view = undefined;
    host.machine.subnetFile = '';
    const [left] = hosts.slice(2);
    const gone = left?.subnet ?? '';
    await left?.stop();
    world.etcd.delete(SUBNETS + gone.replace('/', '-'));
    assert.ok(host.routes().some((route) => route.startsWith(gone)));
    host.start();
    await world.until(
      'the route is swept',
      () => !host.routes().some((route) => route.startsWith(gone)),
    );
    assert.equal(host.holding, false);
    await world.close();
  });

  test('of its own lease routes its subnet nowhere, though the view names the address that it had', async () => {
    const { world, host } = await saved(3);
    const own = host.subnet ?? '';
    await host.forget();
    host.move('10.10.10.120');
    host.etcd.setLine('refused');
    host.start();
    await world.run(5_000);
    assert.equal(host.routes().length, 2);
    assert.ok(host.routes().every((route) => !route.startsWith(own)));
    await world.close();
  });
});
