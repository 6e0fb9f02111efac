/** Whole agents in dual-stack and IPv6-only networks. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { AgentHost, AgentWorld, CONFIG_KEY, SUBNETS } from '../support/agentWorld.ts';
import { address, prefix } from '../support/leases.ts';

const IPV6 = '"EnableIPv6":true,"IPv6Network":"fd00:100::/48","Backend":{"Type":"host-gw"}}';
const DUAL = `{"Network":"10.100.0.0/16",${IPV6}`;
const ONLY6 = `{"EnableIPv4":false,${IPV6}`;
const DEFAULT6 = { prefix: prefix('::/0'), gateway: address('fe80::1') };

/** A host that is not started yet, at 10.10.10.`n` and, where it is to be so, fd00:9::`n`. */
function host(world: AgentWorld, n: number, families: readonly (4 | 6)[] = [4, 6]): AgentHost {
  const one = new AgentHost(world, `host${n}`, `10.10.10.${n}`);
  world.hosts.push(one);
  if (families.includes(6)) {
    one.kernel.addAddress(one.device, `fd00:9::${n}/64`);
    one.kernel.foreignAdd({ ...DEFAULT6, device: one.device });
  }
  // The last IPv4 address takes all its routes with it.
  if (!families.includes(4)) one.kernel.removeAddress(one.device, `10.10.10.${n}/24`);
  return one;
}

async function fleet(config: string, families?: readonly (4 | 6)[]) {
  const world = new AgentWorld();
  world.etcd.put(CONFIG_KEY, config);
  const hosts = [101, 102, 103].map((n) => host(world, n, families));
  for (const one of hosts) one.start();
  await world.until('all have all routes', () => hosts.every((one) => all(world, one)));
  const [first] = hosts;
  assert.ok(first !== undefined);
  return { world, hosts, first };
}

const all = (world: AgentWorld, one: AgentHost): boolean =>
  one.ready && String(one.routes()) === String(wanted(world, one));

/** What the leases in etcd ask of `one`: read here by themselves, not by the code under test. */
function wanted(world: AgentWorld, one: AgentHost): string[] {
  const routes = world.etcd.under(SUBNETS).flatMap(({ key, value }) => {
    if (key === one.key) return [];
    const { PublicIP, PublicIPv6 } = JSON.parse(value) as Record<string, string | null>;
    const halves = key.slice(SUBNETS.length).split('&');
    return halves.flatMap((half, i) => {
      const gateway = i === 0 ? PublicIP : PublicIPv6;
      const at = half.lastIndexOf('-');
      return half === '0.0.0.0-0' || gateway === null
        ? []
        : [`${half.slice(0, at)}/${half.slice(at + 1)} via ${gateway}`];
    });
  });
  return routes.sort();
}

const value = (ip: string, ip6: string | null): string =>
  JSON.stringify({ PublicIP: ip, PublicIPv6: ip6, BackendType: 'host-gw' });

/** Both subnets of a key of ours, as the subnet file's text has them. */
function subnetFile(key: string): string {
  const [four = '', six] = key.slice(SUBNETS.length).split('&');
  const lines4 = `FLANNEL_NETWORK=10.100.0.0/16\nFLANNEL_SUBNET=${four.replace(/0-24$/, '1/24')}\n`;
  const lines6 = `FLANNEL_IPV6_NETWORK=fd00:100::/48\nFLANNEL_IPV6_SUBNET=${six?.replace(/::-64$/, '::1/64')}\n`;
  return `${four === '0.0.0.0-0' ? '' : lines4}${lines6}FLANNEL_MTU=1500\nFLANNEL_IPMASQ=false\n`;
}

describe('in a dual-stack network', () => {
  test('each host has one key of both subnets, both addresses, and two routes to each peer', async () => {
    const { world, hosts, first } = await fleet(DUAL);
    for (const [i, one] of hosts.entries()) {
      assert.match(one.key, /subnets\/10\.100\.\d+\.0-24&fd00:100:0:[0-9a-f]+::-64$/);
      const entry = world.etcd.under(one.key)[0];
      assert.equal(entry?.value, value(`10.10.10.${101 + i}`, `fd00:9::${101 + i}`));
      assert.equal(one.routes().length, 4);
      assert.equal(one.machine.subnetFile, subnetFile(one.key));
    }
    const said = first.log.lines.filter((line) => line.startsWith('info external interface'));
    assert.deepEqual(said, [
      'info external interface eth0 (it has the default route), address 10.10.10.101, mtu 1500',
      'info external interface eth0 (it has the default route), addresses 10.10.10.101 and fd00:9::101, mtu 1500',
    ]);
    const firewall = first.machine.firewall.at(-1);
    assert.equal(firewall?.v6?.network.text, 'fd00:100::/48');
    assert.equal(firewall?.v4?.network.text, '10.100.0.0/16');
    const status = JSON.parse(first.readyz());
    assert.deepEqual(
      [status.subnet, status.subnet6],
      first.machine.state?.subnet.split('&').map(slashed),
    );
    await world.close();
  });

  test('a restart writes no route and keeps the key', async () => {
    const { world, hosts, first } = await fleet(DUAL);
    const { key } = first;
    const [writes, leases] = [first.writes().length, world.etcd.under(SUBNETS)];
    await first.stop();
    await world.run(5_000);
    first.start();
    await world.until('all is as before', () => hosts.every((one) => all(world, one)));
    assert.equal(first.key, key);
    assert.equal(first.writes().length, writes);
    assert.deepEqual(world.etcd.under(SUBNETS), leases);
    await world.close();
  });

  test('without its state a host finds its key by either address, else by the subnet file', async () => {
    for (const lost of ['state', 'state and key'] as const) {
      const { world, hosts, first } = await fleet(DUAL);
      const { key } = first;
      await first.stop();
      first.machine.state = undefined;
      if (lost === 'state and key') world.etcd.delete(key);
      first.start();
      await world.until('all is as before', () => hosts.every((one) => all(world, one)));
      assert.equal(first.key, key, `without ${lost}`);
      await world.close();
    }
  });

  test('an IPv6 address that changes is told, and peers follow; one that comes beside it changes nothing', async () => {
    const { world, hosts, first } = await fleet(DUAL);
    const { key, device } = first;
    const revision = world.etcd.under(key)[0]?.modRevision;
    first.kernel.addAddress(device, 'fd00:9::1/64');
    await world.run(60_000);
    assert.equal(world.etcd.under(key)[0]?.modRevision, revision);
    first.kernel.removeAddress(device, 'fd00:9::101/64');
    const news = value('10.10.10.101', 'fd00:9::1');
    await world.until('it is told', () => world.etcd.under(key)[0]?.value === news);
    await world.until('peers follow', () => hosts.every((one) => all(world, one)));
    assert.equal(first.key, key);
    assert.deepEqual(
      hosts.flatMap(({ gaps }) => gaps),
      [],
    );
    await world.close();
  });

  test('a host without an IPv6 address waits for one and says so, then goes on', async () => {
    const world = new AgentWorld();
    world.etcd.put(CONFIG_KEY, DUAL);
    const one = host(world, 101, [4]);
    one.start();
    await world.run(20_000);
    assert.deepEqual(world.etcd.under(SUBNETS), []);
    assert.match(one.readyz(), /eth0 has no global IPv6 address yet/);
    one.kernel.addAddress(one.device, 'fd00:9::101/64');
    await world.until('it is ready', () => one.ready);
    assert.equal(world.etcd.under(one.key)[0]?.value, value('10.10.10.101', 'fd00:9::101'));
    await world.close();
  });

  test('leases of one family have that route, hostile ones none, and each is said', async () => {
    const { world, first } = await fleet(DUAL);
    const put = (name: string, ip: string, ip6: string | null): void =>
      void world.etcd.put(SUBNETS + name, value(ip, ip6));
    put('10.100.0.0-24', '10.10.10.7', null);
    put('0.0.0.0-0&fd00:100:0:0::-64', '0.0.0.0', 'fd00:9::8');
    put('0.0.0.0-0&fd00:100::-64', '0.0.0.0', 'fd00:9::8');
    put('0.0.0.0-0&fd00:9::-64', '0.0.0.0', 'fd00:9::9');
    const before = first.routes().length;
    await world.until('their routes', () => first.routes().length === before + 2);
    await world.run(5_000);
    const routes = first.routes();
    assert.ok(routes.includes('10.100.0.0/24 via 10.10.10.7'));
    assert.ok(routes.includes('fd00:100::/64 via fd00:9::8'));
    assert.equal(routes.length, before + 2);
    const said = first.log.lines.join('\n');
    assert.match(
      said,
      /lease 10\.100\.0\.0-24 has no IPv6 subnet, which the network config asks for/,
    );
    assert.match(said, /lease 0\.0\.0\.0-0&fd00:100::-64 has no IPv4 subnet/);
    assert.match(said, /no route: lease 0\.0\.0\.0-0&fd00:100:0:0::-64 should be named/);
    assert.match(
      said,
      /no route: lease 0\.0\.0\.0-0&fd00:9::-64 is outside IPv6Network fd00:100::\/48/,
    );
    await world.close();
  });

  test('a link that was down comes back without its IPv6 address: IPv4 goes on, the lease stays as it is', async () => {
    const { world, hosts, first } = await fleet(DUAL);
    const lease = world.etcd.under(first.key);
    first.kernel.setLink(first.device, { up: false });
    await world.run(2_000);
    first.kernel.setLink(first.device, { up: true });
    first.routeByDefault();
    const four = wanted(world, first).filter((route) => route.startsWith('10.'));
    await world.until('IPv4 is back', () => String(first.routes()) === String(four));
    await world.run(60_000);
    assert.deepEqual(first.routes(), four);
    assert.match(first.readyz(), /eth0 has no global IPv6 address yet/);
    assert.match(first.readyz(), /peers without a route: 2 /);
    first.kernel.addAddress(first.device, 'fd00:9::101/64');
    await world.until('all is as before', () => hosts.every((one) => all(world, one)));
    assert.deepEqual(world.etcd.under(first.key), lease);
    await world.close();
  });

  test('a reservation with our addresses is taken as it is, and keeps no etcd lease', async () => {
    const world = new AgentWorld();
    world.etcd.put(CONFIG_KEY, DUAL);
    const name = `${SUBNETS}10.100.77.0-24&fd00:100:0:99::-64`;
    world.etcd.put(name, value('10.10.10.101', 'fd00:9::101'));
    const one = host(world, 101);
    one.start();
    await world.until('it is ready', () => one.ready);
    assert.equal(one.key, name);
    assert.equal(world.etcd.under(name)[0]?.lease, '0');
    await world.close();
  });

  test("takes over flannel's routes of both families without a gap", async () => {
    const { world, hosts, first } = await fleet(DUAL);
    await first.stop();
    const ours = first.kernel.routes().filter(({ protocol }) => protocol === 104);
    assert.equal(ours.length, 4);
    const boot = 3;
    for (const { prefix: to, gateway, device, protocol } of ours) {
      first.kernel.foreignDelete({ prefix: to, protocol });
      first.kernel.foreignAdd({ prefix: to, gateway, device, protocol: boot });
    }
    first.start();
    await world.until('all is as before', () => hosts.every((one) => all(world, one)));
    assert.deepEqual(first.gaps, []);
    assert.equal(
      first.kernel.routes().filter(({ protocol }) => protocol === boot).length,
      2,
      'the default routes',
    );
    await world.close();
  });
});

describe('in an IPv6-only network', () => {
  test('hosts without IPv4 have keys, values, routes and subnet file of IPv6 alone', async () => {
    const { world, hosts, first } = await fleet(ONLY6, [6]);
    for (const [i, one] of hosts.entries()) {
      assert.match(one.key, /subnets\/0\.0\.0\.0-0&fd00:100:0:[0-9a-f]+::-64$/);
      assert.equal(world.etcd.under(one.key)[0]?.value, value('0.0.0.0', `fd00:9::${101 + i}`));
      assert.equal(one.routes().length, 2);
      assert.equal(one.machine.subnetFile, subnetFile(one.key));
    }
    assert.equal(new Set(hosts.map(({ key }) => key)).size, 3);
    assert.equal(first.machine.firewall.at(-1)?.v4, undefined);
    await world.close();
  });

  test('the uplink is that of the default route of IPv6, though IPv4 has another', async () => {
    const world = new AgentWorld();
    world.etcd.put(CONFIG_KEY, ONLY6);
    const one = host(world, 101, [4]);
    const other = one.kernel.addLink('eth1');
    one.kernel.addAddress(one.device, 'fd00:8::101/64');
    one.kernel.addAddress(other, 'fd00:9::101/64');
    one.kernel.foreignAdd({ ...DEFAULT6, device: other });
    one.start();
    await world.until('it is ready', () => one.ready);
    assert.equal(world.etcd.under(one.key)[0]?.value, value('0.0.0.0', 'fd00:9::101'));
    const puts = one.log.lines.filter((line) => line.startsWith('info external interface'));
    assert.match(puts.at(-1) ?? '', /eth1 \(it has the default route\), address fd00:9::101/);
    await world.close();
  });
});

function slashed(half: string): string {
  const at = half.lastIndexOf('-');
  return `${half.slice(0, at)}/${half.slice(at + 1)}`;
}
