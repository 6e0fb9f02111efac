import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type AgentHost, AgentWorld, CONFIG, CONFIG_KEY, SUBNETS } from '../support/agentWorld.ts';

const WIDER = '{"Network":"10.96.0.0/12","Backend":{"Type":"host-gw"}}';
const ELSEWHERE = '{"Network":"10.200.0.0/16","Backend":{"Type":"host-gw"}}';

const first = (hosts: readonly AgentHost[]): AgentHost => {
  const [host] = hosts;
  assert.ok(host !== undefined);
  return host;
};

const lines = (host: AgentHost, about: RegExp): string[] =>
  host.log.lines.filter((line) => !line.startsWith('debug ') && about.test(line));

describe('the network config', () => {
  test('is reported where it is wrong, once, and waited for until it is corrected', async () => {
    const world = new AgentWorld();
    const host = world.agent({ address: '10.10.10.101' });
    world.etcd.put(CONFIG_KEY, '{"Network":"10.100.0.0/30","Backend":{"Type":"host-gw"}}');
    await world.run(120_000);
    assert.equal(host.running, true);
    assert.deepEqual(host.errors, []);
    assert.match(host.readyz(), /10\.100\.0\.0\/30: it is too small/);
    assert.equal(lines(host, /too small/).length, 1);
    world.etcd.put(CONFIG_KEY, '{"Network":');
    await world.until('the next fault is reported', () => /not JSON/.test(host.readyz()));
    assert.deepEqual(world.etcd.under(SUBNETS), []);
    world.etcd.put(CONFIG_KEY, CONFIG);
    await world.until('the agent is ready', () => host.ready);
    assert.match(host.readyz(), /"conditions":\[\]/);
    await world.close();
  });

  test('changes nothing where it is made wrong later', async () => {
    const world = new AgentWorld();
    const host = first(await world.fleet(3));
    const { writes, subnet } = { writes: host.writes(), subnet: host.subnet };
    world.etcd.put(CONFIG_KEY, '{}');
    await world.run(60_000);
    assert.match(host.readyz(), /Backend.Type is not set/);
    assert.deepEqual([host.writes(), host.subnet, host.ready], [writes, subnet, true]);
    world.etcd.put(CONFIG_KEY, CONFIG);
    await world.until('all is well', () => /"conditions":\[\]/.test(host.readyz()));
    await world.close();
  });

  test('is held off where it no longer contains our subnet: subnet and routes stay until a restart', async () => {
    const world = new AgentWorld();
    const hosts = await world.fleet(3);
    const host = first(hosts);
    const before = hosts.map((each) => [each.subnet, each.writes()]);
    world.etcd.put(CONFIG_KEY, ELSEWHERE);
    await world.run(600_000);
    assert.deepEqual(
      hosts.map((each) => [each.subnet, each.writes()]),
      before,
    );
    assert.match(host.readyz(), /no longer contains our subnet/);
    assert.equal(host.ready, true);

    await host.stop();
    host.start();
    await world.until('a new subnet', () => host.subnet?.startsWith('10.200.') ?? false);
    await world.close();
  });

  test('that is wider reaches subnet file and firewall while the subnet stays', async () => {
    const world = new AgentWorld();
    const host = first(await world.fleet(2));
    const { subnet } = host;
    await world.until('the file is written', () => host.machine.subnetFile !== '');
    world.etcd.put(CONFIG_KEY, WIDER);
    await world.run(10_000);
    assert.match(host.machine.subnetFile, /FLANNEL_NETWORK=10\.96\.0\.0\/12/);
    assert.equal(host.machine.firewall.at(-1)?.v4?.network.text, '10.96.0.0/12');
    assert.equal(host.subnet, subnet);
    assert.deepEqual(host.machine.deeds.filter((deed) => deed === 'READY').length, 1);
    await world.close();
  });

  test('may be deleted: nothing changes, and a peer that is added still gets its route', async () => {
    const world = new AgentWorld();
    const hosts = await world.fleet(3);
    const host = first(hosts);
    const before = hosts.map((each) => [each.subnet, each.routes(), each.ready]);
    world.etcd.delete(CONFIG_KEY);
    await world.run(60_000);
    assert.deepEqual(
      hosts.map((each) => [each.subnet, each.routes(), each.ready]),
      before,
    );
    assert.match(host.readyz(), /\/config is gone: everything stays as it is/);
    assert.equal(lines(host, /is gone/).length, 1);

    const value = '{"PublicIP":"10.10.10.200","BackendType":"host-gw"}';
    world.etcd.put(`${SUBNETS}10.100.0.0-24`, value);
    await world.until('the route of the added peer', () =>
      host.routes().includes('10.100.0.0/24 via 10.10.10.200'),
    );
    await world.close();
  });
});
