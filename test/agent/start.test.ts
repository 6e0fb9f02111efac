import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type AgentHost, AgentWorld, CONFIG, CONFIG_KEY, SUBNETS } from '../support/agentWorld.ts';

/** What was said to people: everything but the reasons that -v shows. */
const said = (host: AgentHost): string[] =>
  host.log.lines.filter((line) => !line.startsWith('debug '));

describe('an agent that starts', () => {
  test('waits for the config, naming its key, and leases when it comes', async () => {
    const world = new AgentWorld();
    const host = world.agent({ address: '10.10.10.101' });
    await world.run(10_000);
    assert.deepEqual(said(host), [
      'info external interface eth0 (it has the default route), address 10.10.10.101, mtu 1500',
      `info waiting for the network config in etcd key ${CONFIG_KEY}`,
    ]);
    assert.equal(host.ready, false);
    assert.deepEqual(world.etcd.under(SUBNETS), []);

    world.etcd.put(CONFIG_KEY, CONFIG);
    await world.until('the agent is ready', () => host.machine.deeds.includes('READY'));
    assert.equal(host.ready, true);
    assert.deepEqual(
      world.etcd.under(SUBNETS).map(({ key }) => key),
      [host.key],
    );
    await world.close();
  });

  test('says each step once, in the order of the steps', async () => {
    const world = new AgentWorld();
    const [host, peer] = await world.fleet(2);
    assert.ok(host !== undefined && peer !== undefined);
    await world.run(600_000);
    assert.deepEqual(said(host), [
      'info external interface eth0 (it has the default route), address 10.10.10.101, mtu 1500',
      'info network 10.100.0.0/16: picking a subnet from 10.100.1.0 ... 10.100.255.0',
      `info asking etcd for subnet ${host.subnet}`,
      `info lease acquired: subnet ${host.subnet}`,
      `info watching for leases under ${SUBNETS}`,
      `info subnet added: ${peer.subnet} via 10.10.10.102`,
      'info wrote /run/flannel/subnet.env',
      'info ready',
    ]);
    await world.close();
  });

  test('tells READY once: after firewall and forwarding were tried and the subnet file was written', async () => {
    const world = new AgentWorld();
    const host = world.agent({ address: '10.10.10.101' });
    host.machine.firewallStatus = undefined;
    host.machine.diskTrouble = 'the disk is full';
    world.etcd.put(CONFIG_KEY, CONFIG);
    await world.until('a try', () => host.machine.deeds.includes('subnet-file'));
    await world.run(60_000);
    assert.deepEqual(host.machine.deeds.slice(0, 3), ['firewall', 'forwarding', 'subnet-file']);
    assert.ok(!host.machine.deeds.includes('READY'), 'Docker would start without its subnet');
    assert.equal(host.ready, false, 'what failed is a condition');
    assert.match(host.readyz(), /nft cannot be started/);
    assert.match(host.readyz(), /the disk is full/);
    host.machine.diskTrouble = undefined;
    await world.until('READY', () => host.machine.deeds.includes('READY'));
    await world.run(60_000);
    assert.equal(host.machine.deeds.filter((deed) => deed === 'READY').length, 1);

    host.move('10.10.10.77');
    await world.run(60_000);
    assert.equal(host.machine.deeds.filter((deed) => deed === 'READY').length, 1);
    await world.close();
  });

  test('is not ready by readyz before it is by READY', async () => {
    const world = new AgentWorld();
    const host = world.agent({ address: '10.10.10.101' });
    world.etcd.put(CONFIG_KEY, CONFIG);
    await world.until('the subnet is held', () => host.subnet !== undefined);
    assert.match(host.readyz(), /"ready":false.*firewall and subnet file have not been tried yet/);
    await world.until('ready', () => host.ready);
    assert.equal(host.machine.deeds.at(-1), 'READY');
    await world.close();
  });

  test('keeps running where forwarding cannot be turned on, and says so', async () => {
    const world = new AgentWorld();
    const host = world.agent({ address: '10.10.10.101' });
    host.machine.forwardingTrouble = 'read-only file system';
    world.etcd.put(CONFIG_KEY, CONFIG);
    await world.until('READY', () => host.machine.deeds.includes('READY'));
    assert.match(host.readyz(), /read-only file system/);
    assert.equal(host.ready, false);
    await world.close();
  });

  test('ends in one key when the answer of the creating transaction is lost', async () => {
    for (const what of ['request', 'answer'] as const) {
      const world = new AgentWorld();
      const host = world.agent({ address: '10.10.10.101' });
      host.etcd.lose('transact', what);
      world.etcd.put(CONFIG_KEY, CONFIG);
      await world.until('the agent is ready', () => host.ready);
      await world.run(60_000);
      assert.deepEqual(host.etcd.waiting, [], `the ${what} was lost`);
      assert.deepEqual(
        world.etcd.under(SUBNETS).map(({ key }) => key),
        [host.key],
      );
      assert.deepEqual(
        said(host).filter((line) => line.startsWith('warn')),
        [],
      );
      await world.close();
    }
  });

  test('survives lost answers of every other call', async () => {
    for (const call of ['list', 'watch', 'grant', 'keepAlive', 'get'] as const) {
      for (const what of ['request', 'answer'] as const) {
        // Renewed within the minute.
        const world = new AgentWorld(1, { leaseTtlSeconds: 60 });
        world.etcd.put(CONFIG_KEY, CONFIG);
        const host = world.agent({ address: '10.10.10.101' });
        host.etcd.lose(call, what);
        await world.until(`ready without the ${what} of ${call}`, () => host.ready);
        await world.run(60_000);
        assert.deepEqual(host.etcd.waiting, [], `the ${what} of ${call} was lost`);
        assert.equal(world.etcd.under(SUBNETS).length, 1);
        await world.close();
      }
    }
  });
});

describe('an agent that starts again', () => {
  test('keeps its subnet, writes nothing to kernel, etcd and files, and warns of nothing', async () => {
    const world = new AgentWorld();
    const [host] = await world.fleet(3);
    assert.ok(host !== undefined);
    await world.until('READY', () => host.machine.deeds.includes('READY'));
    const before = {
      subnet: host.subnet,
      writes: host.writes(),
      revision: world.etcd.store.revision,
    };
    const told = said(host).length;
    await host.stop();
    host.start();
    await world.until('ready again', () => host.machine.deeds.at(-1) === 'READY');
    await world.run(600_000);
    assert.deepEqual(
      { subnet: host.subnet, writes: host.writes(), revision: world.etcd.store.revision },
      before,
    );
    assert.deepEqual(
      said(host)
        .slice(told)
        .filter((line) => !line.startsWith('info')),
      [],
    );
    assert.ok(world.converged);
    await world.close();
  });

  test('never routes its own subnet to the address that it had before', async () => {
    const world = new AgentWorld();
    const [host, peer] = await world.fleet(2);
    assert.ok(host !== undefined && peer !== undefined);
    const { subnet } = host;
    await host.stop();
    host.move('10.10.10.77');
    const writes = host.writes().length;
    // Etcd takes its time: so long our key still has the old address, which is on-link.
    host.etcd.lose('transact', 'request');
    host.start();
    await world.until('peers follow', () => world.converged && host.subnet === subnet);
    await world.run(60_000);
    assert.deepEqual(host.writes().slice(writes), []);
    assert.deepEqual(peer.routes(), [`${subnet} via 10.10.10.77`]);
    await world.close();
  });

  test('never routes away the subnet that its disk names, whoever has the key', async () => {
    const world = new AgentWorld();
    const [host] = await world.fleet(2);
    assert.ok(host !== undefined);
    const { subnet, key } = host;
    await host.stop();
    const value = world.etcd.store.get(key)?.value ?? '';
    host.move('10.10.10.77');
    // Its former address, under an etcd lease that is not its own: whose it is cannot be known.
    world.etcd.store.grant('999', 86_400);
    world.etcd.put(key, value, '999');
    host.start();
    await world.run(60_000);
    assert.match(host.readyz(), /"lease"/);
    assert.deepEqual(
      host.routes().filter((route) => route.startsWith(`${subnet} `)),
      [],
    );
    world.etcd.delete(key);
    await world.until('it has its key again', () => host.ready && host.subnet === subnet);
    await world.close();
  });

  test('routes what changed while it was away, and nothing else', async () => {
    const world = new AgentWorld();
    const [host, leaves] = await world.fleet(4);
    assert.ok(host !== undefined && leaves !== undefined);
    await host.stop();
    const gone = leaves.subnet;
    await leaves.stop();
    world.etcd.delete(leaves.key);
    const comes = world.agent({ address: '10.10.10.105' });
    await world.until('the new one is ready', () => comes.ready);
    const writes = host.writes().length;
    host.start();
    await world.until('its routes are those of now', () => world.converged);
    await world.run(60_000);
    assert.deepEqual(host.writes().slice(writes).sort(), [
      `add ${comes.subnet} via 10.10.10.105`,
      `delete ${gone} via 10.10.10.102`,
    ]);
    await world.close();
  });
});
