import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type AgentHost, AgentWorld, SUBNETS } from '../support/agentWorld.ts';
import { address, prefix } from '../support/leases.ts';

/** A fleet as its first host and the others. */
async function world(count: number) {
  const all = new AgentWorld();
  const [host, ...peers] = await all.fleet(count);
  const [peer] = peers;
  assert.ok(host !== undefined && peer !== undefined);
  return { world: all, host, peers, peer };
}

const subnetOf = (host: AgentHost) => prefix(host.subnet ?? '');

describe('peers', () => {
  test('route to each other', async () => {
    const { world: all, host, peer } = await world(2);
    assert.deepEqual(host.routes(), [`${peer.subnet} via 10.10.10.102`]);
    assert.deepEqual(peer.routes(), [`${host.subnet} via 10.10.10.101`]);
    assert.notEqual(host.subnet, peer.subnet);
    await all.close();
  });

  test('that leave lose their route, and no other changes', async () => {
    const { world: all, host, peer } = await world(4);
    const { subnet } = peer;
    await peer.stop();
    await all.run(60_000);
    assert.equal(host.routes().length, 3, 'a stopped agent has not left');
    all.etcd.delete(peer.key);
    await all.until('its route is gone', () => host.routes().length === 2);
    assert.deepEqual(host.writes().slice(3), [`delete ${subnet} via 10.10.10.102`]);
    assert.equal(all.converged, true);
    assert.equal(host.log.lines.filter((line) => line.startsWith('info subnet removed')).length, 1);
    await all.close();
  });

  test('that vanish at once keep their routes, and their return ends the hold', async () => {
    const { world: all, host, peers } = await world(5);
    const writes = host.writes();
    for (const peer of peers) {
      await peer.stop();
      all.etcd.delete(peer.key);
    }
    await all.run(300_000);
    assert.deepEqual(host.writes(), writes);
    assert.match(host.readyz(), /"sweep-held","sentence":"4 of 4 peers/);
    for (const peer of peers) peer.start();
    await all.until('the hold ends', () => /"conditions":\[\]/.test(host.readyz()));
    await all.until('the peers are ready again', () => all.converged);
    assert.deepEqual(host.writes(), writes);
    const told = host.log.lines.filter((line) => /^(warn|info) sweep-held/.test(line));
    assert.equal(told.length, 2, told.join('\n'));
    await all.close();
  });

  test('that vanish for good lose their routes when the hold has lasted', async () => {
    const { world: all, host, peers } = await world(5);
    for (const peer of peers) {
      await peer.stop();
      all.etcd.delete(peer.key);
    }
    await all.run(599_000);
    assert.equal(host.routes().length, 4);
    await all.until('the hold has run out', () => host.routes().length === 0, 10_000);
    assert.match(host.readyz(), /"conditions":\[\]/);
    await all.close();
  });

  test('whose lease is broken or hostile get no route, each with its reason, once', async () => {
    const { world: all, host } = await world(2);
    const writes = host.writes();
    const lease = (ip: string) => `{"PublicIP":"${ip}","BackendType":"host-gw"}`;
    const hostile: [name: string, value: string, reason: RegExp][] = [
      ['10.100.0.0-24', '{', /not JSON/i],
      ['10.200.0.0-24', lease('10.10.10.9'), /outside Network/],
      ['10.100.0.0-16', lease('10.10.10.9'), /has length 16/],
      ['10.100.2.0-24', lease('10.77.0.9'), /not on-link/],
      ['10.100.4.0-24', lease('10.10.10.101'), /own address/],
      ['10.100.6.0-24', lease('127.0.0.1'), /not on-link|loopback/],
    ];
    for (const [name, value] of hostile) all.etcd.put(SUBNETS + name, value);
    await all.run(600_000);
    assert.deepEqual(host.writes(), writes);
    for (const [name, , reason] of hostile) {
      const told = host.log.lines.filter((line) => line.includes(`lease ${name} `));
      assert.equal(told.length, 1, `${name}: ${told.join('; ')}`);
      assert.match(told[0] ?? '', reason);
    }
    assert.equal(host.ready, true);
    await all.close();
  });
});

describe('rivals on our routes', () => {
  test('that delete one see it come back', async () => {
    const { world: all, host, peer } = await world(3);
    const routes = host.routes();
    host.kernel.foreignDelete({ prefix: subnetOf(peer) });
    assert.equal(host.routes().length, 1);
    await all.until('the route is back', () => host.routes().length === 2, 2_000);
    assert.deepEqual(host.routes(), routes);
    await all.close();
  });

  test('that have a route already keep it, and readyz names the peer that has none', async () => {
    const { world: all, host, peer } = await world(3);
    await peer.stop();
    all.etcd.delete(peer.key);
    await all.until('its route is gone', () => host.routes().length === 1);
    const theirs = host.kernel.foreignAdd({
      prefix: subnetOfKey(peer),
      gateway: address('10.10.10.250'),
      device: host.device,
      protocol: 186,
    });
    peer.start();
    await all.until('the conflict is told', () => /conflict/.test(host.readyz()));
    await all.run(600_000);
    assert.ok(host.kernel.routes().includes(theirs));
    assert.equal(host.routes().length, 1);
    assert.ok(host.readyz().includes(subnetOfKey(peer).text), host.readyz());
    const told = host.log.lines.filter((line) => /is conflict/.test(line));
    assert.equal(told.length, 1);
    assert.match(told[0] ?? '', /via 10\.10\.10\.250 dev eth0 proto bgp/);

    host.kernel.foreignDelete({ prefix: subnetOfKey(peer) });
    await all.until('the way is free', () => all.converged);
    await all.until('that is told', () => /"conditions":\[\]/.test(host.readyz()), 1_000);
    await all.close();
  });

  test('of the driver are told, waited out and healed', async () => {
    const { world: all, host, peer } = await world(3);
    host.kernel.failures.next({ kind: 'dump' });
    host.kernel.failures.next({ kind: 'apply' });
    host.kernel.failures.next({ kind: 'unknown', when: 'after' });
    host.kernel.foreignDelete({ prefix: subnetOf(peer) });
    await all.until('the route is back', () => all.converged && host.routes().length === 2);
    await all.run(60_000);
    host.kernel.foreignDelete({ prefix: subnetOf(peer) });
    await all.until('and back again', () => host.routes().length === 2);
    host.kernel.failures.assertConsumed();
    assert.match(host.readyz(), /"conditions":\[\]/);
    await all.close();
  });
});

/** Of a host that may be down: the subnet that its state names. */
function subnetOfKey(host: AgentHost) {
  return prefix(host.key.slice(SUBNETS.length).replace('-', '/'));
}
