/** Everybody who may write a lease may write any lease: none of these changes a route, and each is named with its reason. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type AgentHost, AgentWorld, SUBNETS } from '../support/agentWorld.ts';

const value = (publicIp: string): string =>
  JSON.stringify({ PublicIP: publicIp, PublicIPv6: null, BackendType: 'host-gw' });
const HONEST = '10.10.10.200';

interface Hostile {
  readonly what: string;
  readonly name: string | ((host: AgentHost) => string);
  readonly value: string | ((host: AgentHost) => string);
  readonly why: RegExp;
}

const HOSTILE: readonly Hostile[] = [
  {
    what: 'the whole internet',
    name: '0.0.0.0-0',
    value: value(HONEST),
    why: /0\.0\.0\.0-0 is outside Network/,
  },
  { what: 'our own LAN', name: '10.10.10.0-24', value: value(HONEST), why: /outside Network/ },
  {
    what: 'a connected prefix inside Network',
    name: '10.100.77.0-24',
    value: value(HONEST),
    why: /equals the connected prefix 10\.100\.77\.0\/24/,
  },
  {
    what: 'our own subnet under another name',
    name: ({ subnet }) => `${subnet?.replace(/0\/24$/, '1')}-24`,
    value: value(HONEST),
    why: /should be named 10\.100\./,
  },
  {
    what: 'half of our own subnet',
    name: ({ subnet }) => `${subnet?.replace('/24', '')}-25`,
    value: value(HONEST),
    why: /has length 25, but SubnetLen is 24/,
  },
  { what: 'a longer prefix', name: '10.100.0.128-25', value: value(HONEST), why: /has length 25/ },
  { what: 'a shorter prefix', name: '10.100.0.0-20', value: value(HONEST), why: /has length 20/ },
  { what: 'all of Network', name: '10.100.0.0-16', value: value(HONEST), why: /has length 16/ },
  {
    what: 'a subnet elsewhere',
    name: '10.101.5.0-24',
    value: value(HONEST),
    why: /outside Network/,
  },
  {
    what: "a peer's subnet under another name",
    name: '10.100.200.7-24',
    value: value('10.10.10.201'),
    why: /should be named 10\.100\.200\.0-24/,
  },
  {
    what: 'a gateway that is ours',
    name: '10.100.0.0-24',
    value: ({ address }) => value(address),
    why: /this host's own address/,
  },
  {
    what: 'a gateway off the link',
    name: '10.100.0.0-24',
    value: value('10.20.0.1'),
    why: /not on-link/,
  },
  { what: 'loopback', name: '10.100.0.0-24', value: value('127.0.0.1'), why: /a loopback address/ },
  {
    what: 'multicast',
    name: '10.100.0.0-24',
    value: value('224.0.0.5'),
    why: /a multicast address/,
  },
  {
    what: 'the broadcast address',
    name: '10.100.0.0-24',
    value: value('255.255.255.255'),
    why: /the broadcast address/,
  },
  {
    what: "the link's broadcast address",
    name: '10.100.0.0-24',
    value: value('10.10.10.255'),
    why: /the broadcast address of 10\.10\.10\.0\/24/,
  },
  {
    what: 'a gateway inside its own subnet',
    name: '10.100.0.0-24',
    value: value('10.100.0.1'),
    why: /inside the lease's own subnet|not on-link/,
  },
  { what: 'no gateway', name: '10.100.0.0-24', value: value('0.0.0.0'), why: /names no PublicIP/ },
  { what: 'broken JSON', name: '10.100.0.0-24', value: '{"PublicIP":', why: /not JSON/ },
  { what: 'another type', name: '10.100.0.0-24', value: '[]', why: /not a JSON object/ },
  {
    what: 'a number for an address',
    name: '10.100.0.0-24',
    value: '{"PublicIP":168430090,"BackendType":"host-gw"}',
    why: /168430090, which is not an IPv4 address/,
  },
  {
    what: 'a value of a megabyte',
    name: '10.100.0.0-24',
    value: `{"PublicIP":"${'x'.repeat(2 ** 20)}"}`,
    why: /a value of \d+ characters/,
  },
  {
    what: 'control characters in the key',
    name: '10.100.0.0-24\u001b[2J\nok',
    value: value(HONEST),
    why: /lease 10\.100\.0\.0-24\\u001b\[2J\\u000aok is not named like/,
  },
  {
    what: 'a key of a megabyte',
    name: 'x'.repeat(2 ** 20),
    value: value(HONEST),
    why: /\(1048576 characters\) is not named like/,
  },
];

/** A host with one honest peer, and a network of its own inside Network. */
async function scene(): Promise<{ world: AgentWorld; host: AgentHost; routes: string[] }> {
  const world = new AgentWorld();
  const [host] = await world.fleet(1);
  assert.ok(host !== undefined);
  const index = host.kernel.addLink('lan1');
  host.kernel.addAddress(index, '10.100.77.1/24');
  await world.run(60_000);
  world.etcd.put(`${SUBNETS}10.100.200.0-24`, value('10.10.10.201'));
  await world.until('the peer has its route', () => host.routes().length === 1);
  return { world, host, routes: host.writes() };
}

const keyOf = (name: Hostile['name'], host: AgentHost): string =>
  SUBNETS + (typeof name === 'string' ? name : name(host));
const textOf = (text: Hostile['value'], host: AgentHost): string =>
  typeof text === 'string' ? text : text(host);
const told = (host: AgentHost): string =>
  host.log.lines.filter((line) => !line.startsWith('debug ')).join('\n');

describe('a lease that names', () => {
  for (const { what, name, value: text, why } of HOSTILE)
    test(`${what} changes nothing and is told with its reason; an honest peer is served meanwhile`, async () => {
      const { world, host, routes } = await scene();
      const { subnet } = host;
      world.etcd.put(keyOf(name, host), textOf(text, host));
      await world.run(30_000);
      assert.deepEqual([host.writes(), host.subnet, host.ready], [routes, subnet, true]);
      assert.match(told(host), why);
      assert.ok(host.log.lines.every((line) => line.length < 1_000 && /^[ -~]*$/.test(line)));
      assert.match(host.readyz(), /"(refused|malformed|off-link)":1/);
      world.etcd.put(`${SUBNETS}10.100.201.0-24`, value('10.10.10.202'));
      await world.until('the honest peer has its route', () =>
        host.routes().includes('10.100.201.0/24 via 10.10.10.202'),
      );
      world.etcd.delete(keyOf(name, host));
      await world.run(30_000);
      assert.doesNotMatch(host.readyz(), /"(refused|malformed|off-link)":/);
      assert.equal(host.writes().length, routes.length + 1);
      await world.close();
    });
});

describe('hostile leases', () => {
  test('are all refused at a start too', async () => {
    const { world, host, routes } = await scene();
    await host.stop();
    const one = new Map(HOSTILE.map((hostile) => [keyOf(hostile.name, host), hostile]));
    for (const [key, hostile] of one) world.etcd.put(key, textOf(hostile.value, host));
    host.start();
    await world.until('it is ready', () => host.ready);
    await world.run(30_000);
    assert.deepEqual(host.writes(), routes);
    await world.close();
  });

  test('by the thousand are told in a few lines, and honest peers are served between them', async () => {
    const { world, host, routes } = await scene();
    const lines = host.log.lines.length;
    const count = 10_000;
    for (let i = 0; i < count; i++) {
      const { name, value: text } = HOSTILE[i % (HOSTILE.length - 1)] ?? assert.fail();
      const outside = `10.${101 + (i % 100)}.${Math.floor(i / 100)}.0-24`;
      // A megabyte ten thousand times is etcd's trouble, not ours.
      const small = textOf(text, host).length > 10_000 ? '{' : textOf(text, host);
      world.etcd.put(i < 50 ? keyOf(name, host) : `${SUBNETS}${outside}`, small);
    }
    world.etcd.put(`${SUBNETS}10.100.201.0-24`, value('10.10.10.202'));
    await world.until('the honest peer has its route', () =>
      host.routes().includes('10.100.201.0/24 via 10.10.10.202'),
    );
    await world.run(30_000);
    assert.deepEqual(host.writes(), [...routes, 'add 10.100.201.0/24 via 10.10.10.202']);
    assert.equal(host.ready, true);
    const more = host.log.lines.slice(lines).filter((line) => !line.startsWith('debug '));
    assert.ok(more.length < 100, `${more.length} lines`);
    await world.close();
  });
});
