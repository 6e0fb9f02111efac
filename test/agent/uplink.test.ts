import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { AgentWorld, CONFIG, CONFIG_KEY } from '../support/agentWorld.ts';

/** Far less than the 30 s after which a host looks at its links without a hint. */
const AT_ONCE_MS = 1_000;
const A_WHILE_MS = 47_000;

async function fleet(count: number) {
  const world = new AgentWorld();
  const [host, ...peers] = await world.fleet(count);
  assert.ok(host !== undefined);
  await world.until('all is done', () => host.machine.deeds.includes('READY'));
  return { world, host, peers };
}

describe('the uplink', () => {
  test('is waited for at a start where there is none', async () => {
    const world = new AgentWorld();
    world.etcd.put(CONFIG_KEY, CONFIG);
    const host = world.agent({ address: '10.10.10.101' });
    await host.stop();
    host.unplug();
    host.start();
    await world.run(A_WHILE_MS);
    assert.equal(host.ready, false);
    const told = host.log.lines.filter((line) => /waiting for an external interface/.test(line));
    assert.equal(told.length, 1);
    host.plug();
    await world.until('the agent is ready', () => host.ready);
    await world.close();
  });

  test('has another address: our key says so, the subnet stays, peers follow without a gap', async () => {
    const { world, host, peers } = await fleet(3);
    const { subnet, key } = host;
    host.move('10.10.10.77');
    const moved = `${subnet} via 10.10.10.77`;
    const follow = (): boolean => peers.every((peer) => peer.routes().includes(moved));
    await world.until('peers follow', follow, AT_ONCE_MS);
    await world.run(A_WHILE_MS);
    assert.match(world.etcd.store.get(key)?.value ?? '', /"PublicIP":"10\.10\.10\.77"/);
    assert.deepEqual([host.subnet, host.key], [subnet, key]);
    assert.ok(world.converged);
    assert.deepEqual(
      peers.flatMap(({ gaps }) => gaps),
      [],
    );
    assert.deepEqual(host.gaps, []);
    await world.close();
  });

  test('loses its address for a while: key and peers wait, routes return with it', async () => {
    for (const count of [2, 6]) {
      const { world, host, peers } = await fleet(count);
      const routes = host.routes();
      const revision = world.etcd.store.revision;
      host.kernel.removeAddress(host.device, '10.10.10.101/24');
      await world.run(A_WHILE_MS);
      assert.deepEqual(host.routes(), []);
      assert.equal(host.ready, false);
      assert.match(host.readyz(), /"code":"uplink"/);
      assert.equal(world.etcd.store.revision, revision);

      host.kernel.addAddress(host.device, '10.10.10.101/24');
      host.routeByDefault();
      await world.until('its routes are back', () => world.converged, AT_ONCE_MS);
      assert.deepEqual(host.routes(), routes);
      await world.until('that is told', () => /"conditions":\[\]/.test(host.readyz()), 1_000);
      assert.deepEqual(
        peers.flatMap(({ gaps }) => gaps),
        [],
      );
      await world.close();
    }
  });

  test('is gone and back under another index: routes go through it', async () => {
    for (const count of [2, 6]) {
      const { world, host } = await fleet(count);
      const { device, subnet } = host;
      const routes = host.routes();
      const lines = host.log.lines.length;
      host.unplug();
      await world.run(A_WHILE_MS);
      assert.equal(host.ready, false);
      host.plug();
      assert.notEqual(host.device, device);
      await world.until('its routes are back', () => world.converged, AT_ONCE_MS);
      assert.deepEqual([host.routes(), host.subnet], [routes, subnet]);
      await world.run(A_WHILE_MS);
      assert.match(host.readyz(), /"conditions":\[\]/);
      const refused = host.log.lines.slice(lines).filter((line) => /no route:/.test(line));
      assert.deepEqual(refused, [], 'nobody blames the leases for the link');
      await world.close();
    }
  });

  test('is gone and back under another index while routes are held: these move to it too', async () => {
    const { world, host, peers } = await fleet(6);
    const routes = host.routes();
    for (const peer of peers) {
      await peer.stop();
      world.etcd.delete(peer.key);
    }
    await world.until('they are held', () => host.readyz().includes('"held":5'), AT_ONCE_MS);
    host.unplug();
    await world.run(A_WHILE_MS);
    assert.deepEqual(host.routes(), []);
    host.plug();
    await world.until('they are back', () => host.routes().length === 5, A_WHILE_MS);
    assert.deepEqual(host.routes(), routes);
    await world.close();
  });

  test('goes down and up: routes are back at once', async () => {
    const { world, host } = await fleet(4);
    host.kernel.setLink(host.device, { up: false });
    await world.run(A_WHILE_MS);
    assert.deepEqual(host.routes(), []);
    host.kernel.setLink(host.device, { up: true });
    host.routeByDefault();
    await world.until('its routes are back', () => world.converged, AT_ONCE_MS);
    await world.close();
  });

  test('is another interface: routes move to it, and peers to its address', async () => {
    const { world, host, peers } = await fleet(3);
    const { subnet } = host;
    host.unplug();
    host.address = '10.10.10.88';
    host.plug();
    await world.until('all follow', () => world.converged, AT_ONCE_MS);
    assert.equal(host.subnet, subnet);
    for (const peer of peers) assert.ok(peer.routes().includes(`${subnet} via 10.10.10.88`));
    assert.deepEqual(
      peers.flatMap(({ gaps }) => gaps),
      [],
    );
    assert.equal(host.machine.firewall.at(-1)?.uplink, 'eth0');
    await world.close();
  });

  test('with another mtu has it written into the subnet file', async () => {
    const { world, host } = await fleet(2);
    host.machine.mtu = 1400;
    await world.until('the file says so', () => /FLANNEL_MTU=1400/.test(host.machine.subnetFile));
    assert.equal(world.converged, true);
    await world.close();
  });
});
