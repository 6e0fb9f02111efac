import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type AgentHost, AgentWorld, CONFIG, CONFIG_KEY, SUBNETS } from '../support/agentWorld.ts';

const TTL = { leaseTtlSeconds: 30 };
/** Long enough for a lease to end. */
const AWAY_MS = 60_000;
const value = (publicIp: string): string =>
  JSON.stringify({ PublicIP: publicIp, PublicIPv6: null, BackendType: 'host-gw' });
const nth = (hosts: readonly AgentHost[], index: number): AgentHost => {
  const host = hosts[index];
  assert.ok(host !== undefined);
  return host;
};
const lines = (host: AgentHost, about: RegExp): string[] =>
  host.log.lines.filter((line) => !line.startsWith('debug ') && about.test(line));
/** Whose each key is, by the address in it. */
const owners = (world: AgentWorld): string[] =>
  world.etcd.under(SUBNETS).map(({ key, value: text }) => `${key} ${JSON.parse(text).PublicIP}`);

describe('a second key with our address', () => {
  test('that the disk does not know is left, told once, and gets no route', async () => {
    const world = new AgentWorld();
    const host = nth(await world.fleet(2), 0);
    const { key, subnet } = host;
    await host.stop();
    const stray = `${SUBNETS}10.100.0.0-24`;
    world.etcd.put(stray, value(host.address));
    const before = world.etcd.store.get(stray);
    host.start();
    await world.until('the host is ready', () => host.ready);
    await world.run(60_000);
    assert.deepEqual([host.key, host.subnet], [key, subnet]);
    assert.deepEqual(world.etcd.store.get(stray), before);
    assert.deepEqual(lines(host, /10\.100\.0\.0-24/), [
      `warn no route: lease 10.100.0.0-24 has gateway 10.10.10.101, which is this host's own address: it is left as it is, for this host's key is ${key.slice(SUBNETS.length)}`,
    ]);
    assert.ok(host.routes().every((route) => !route.startsWith('10.100.0.0')));
    assert.match(host.readyz(), /"refused":1/);
    await world.close();
  });
});

describe('two hosts that swap their addresses', () => {
  test('while they run each keep their subnet, in whichever order they hear of it', async () => {
    for (const order of [
      [0, 1],
      [1, 0],
    ] as const) {
      const world = new AgentWorld();
      const hosts = await world.fleet(3);
      const [a, b, third] = [nth(hosts, order[0]), nth(hosts, order[1]), nth(hosts, 2)];
      const before = hosts.map(({ key, subnet }) => [key, subnet]);
      const [from, to] = [a.address, b.address];
      a.move(to);
      await world.run(3_000);
      b.move(from);
      await world.until('all is settled', () => world.converged);
      assert.deepEqual(
        hosts.map(({ key, subnet }) => [key, subnet]),
        before,
      );
      assert.deepEqual(owners(world).toSorted(), [
        ...hosts.map(({ key, address }) => `${key} ${address}`).toSorted(),
      ]);
      assert.deepEqual(third.gaps, [], 'a third host always had a route to both');
      await world.close();
    }
  });

  for (const away of [10_000, AWAY_MS])
    for (const order of [
      [0, 1],
      [1, 0],
    ] as const)
      test(`while they are down for ${away / 1000} s each keep their subnet, host ${order[0]} back first`, async () => {
        const world = new AgentWorld(1, TTL);
        const hosts = await world.fleet(3);
        const [a, b] = [nth(hosts, 0), nth(hosts, 1)];
        const before = [a.key, b.key];
        await a.stop();
        await b.stop();
        const [from, to] = [a.address, b.address];
        a.move(to);
        b.move(from);
        await world.run(away);
        nth(hosts, order[0]).start();
        await world.run(5_000);
        nth(hosts, order[1]).start();
        await world.until('all is settled', () => world.converged);
        assert.deepEqual([a.key, b.key], before);
        assert.ok(
          owners(world).includes(`${a.key} ${to}`) && owners(world).includes(`${b.key} ${from}`),
        );
        await world.close();
      });

  test('never take from each other what one of them was given while the other was away', async () => {
    // One subnet: the host that was away for longer than its lease lives comes back, to find its subnet the other's.
    const only =
      '{"Network":"10.100.0.0/16","SubnetMin":"10.100.3.0","SubnetMax":"10.100.3.0","Backend":{"Type":"host-gw"}}';
    for (const first of ['the one that was away', 'the holder'] as const) {
      const world = new AgentWorld(1, TTL);
      world.etcd.put(CONFIG_KEY, only);
      const away = world.agent({ address: '10.10.10.101' });
      await world.until('it holds', () => away.ready);
      await away.stop();
      await world.run(AWAY_MS);
      const holder = world.agent({ address: '10.10.10.102' });
      await world.until('another holds it', () => holder.ready);
      const swap = [() => away.move('10.10.10.102'), () => holder.move('10.10.10.101')];
      away.move('10.10.10.150');
      if (first === 'the holder') swap.reverse();
      if (first === 'the one that was away') {
        // The address is free again only when its holder has left it.
        swap[0]?.();
        away.start();
        await world.run(5_000);
        swap[1]?.();
      } else {
        for (const step of swap) step();
        await world.run(5_000);
        away.start();
      }
      await world.run(120_000);
      assert.deepEqual(owners(world), [`${SUBNETS}10.100.3.0-24 10.10.10.101`], first);
      assert.equal(holder.ready, true);
      assert.deepEqual([away.ready, away.subnet], [false, undefined]);
      assert.match(away.readyz(), /nothing is written until it goes/);
      await holder.stop();
      world.etcd.delete(`${SUBNETS}10.100.3.0-24`);
      await world.until('it has its subnet again', () => away.ready);
      await world.close();
    }
  });
});

describe('a lost subnet', () => {
  test('is waited for by default; by option another one is taken, and Docker named', async () => {
    for (const lost of ['wait', 'replace'] as const) {
      const world = new AgentWorld(1, { lostSubnet: lost });
      world.etcd.put(CONFIG_KEY, CONFIG);
      const host = world.agent({ address: '10.10.10.101' });
      await world.until('it holds', () => host.ready);
      const { key, subnet } = host;
      world.etcd.put(key, value('10.10.10.77'));
      await world.run(60_000);
      assert.equal(world.etcd.store.get(key)?.value, value('10.10.10.77'));
      if (lost === 'wait') {
        assert.equal(host.ready, false);
        assert.match(host.readyz(), /belongs to 10\.10\.10\.77 in etcd/);
        world.etcd.delete(key);
        await world.until('it is back', () => host.ready);
        assert.deepEqual([host.key, host.subnet], [key, subnet]);
      } else {
        assert.equal(host.ready, true);
        assert.notEqual(host.subnet, subnet);
        assert.match(
          host.machine.subnetFile,
          new RegExp(`FLANNEL_SUBNET=${host.subnet?.replace('.0/', '.1/')}`),
        );
        assert.equal(lines(host, /restart Docker/).length, 1);
        assert.match(lines(host, /is restarted/)[0] ?? '', /^error /);
        assert.deepEqual(host.routes(), [`${subnet} via 10.10.10.77`]);
      }
      await world.close();
    }
  });
});
