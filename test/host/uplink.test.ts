import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type HostFacts, readHostFacts } from '../../src/host/facts.ts';
import { stayWithUplink, surroundingsOf } from '../../src/host/index.ts';
import { chooseUplink, findUplink, parseReach, type UplinkOptions } from '../../src/host/uplink.ts';
import { parsePrefix } from '../../src/ip/index.ts';
import { needs } from '../support/needs.ts';
import { address, facts, none, texts } from './uplinkFacts.ts';
import { Namespace } from './world.ts';

const without = (change: Partial<HostFacts>): HostFacts => ({ ...facts, ...change });
const chosen = (options: Partial<UplinkOptions>, from = facts) => {
  const choice = chooseUplink(from, { ...none, ...options });
  return choice.kind === 'uplink' ? `${choice.name} ${choice.address?.text}` : choice.reason;
};

describe('the facts', () => {
  test('are what ip prints, without what cannot be read', () => {
    assert.deepEqual(
      facts.connected.map(({ prefix, device }) => `${prefix.text} ${device}`),
      ['10.10.10.0/24 2', '192.168.7.0/24 3', '10.100.1.0/24 4', '172.16.0.9/32 3', 'fd00::/64 2'],
    );
    assert.deepEqual(
      facts.defaultRoutes.map(({ gateway, device, metric }) => [gateway?.text, device, metric]),
      [
        ['10.10.10.1', 2, 50],
        ['192.168.7.254', 3, 200],
      ],
    );
    assert.deepEqual(facts.links[3]?.kind, 'bridge');
  });

  test('give what a lease is judged against; the bridge with our own subnet is no neighbour', () => {
    const own = [parsePrefix('10.100.1.0/24') ?? assert.fail()];
    const around = surroundingsOf(facts, 2, own);
    assert.deepEqual(texts(around.onLink), ['10.10.10.0/24', 'fd00::/64']);
    assert.deepEqual(texts(around.defaultGateways), ['10.10.10.1', '192.168.7.254']);
    assert.ok(!texts(around.connected).includes('10.100.1.0/24'));
    assert.ok(texts(around.connected).includes('192.168.7.0/24'));
    assert.ok(texts(around.localAddresses).includes('10.100.1.1'));
    // A bridge that still has another subnet is.
    assert.ok(texts(surroundingsOf(facts, 2, []).connected).includes('10.100.1.0/24'));
  });

  test('tell what no subnet of ours may overlap, but not what docker0 still carries of it', () => {
    const unusable = texts(surroundingsOf(facts, 2, []).unusable);
    for (const text of ['10.10.10.0/24', '192.168.7.0/24', '10.10.10.1/32', '10.10.10.101/32'])
      assert.ok(unusable.includes(text), text);
    assert.ok(!unusable.includes('10.100.1.0/24'));
    assert.ok(texts(surroundingsOf(facts, 4, []).unusable).includes('10.100.1.0/24'));
  });

  test('keep an uplink through a default route that moves, and never name another one', () => {
    const stays = (current: { name: string; device: number }): string => {
      const choice = stayWithUplink(facts, current, none);
      return choice.kind === 'uplink' ? `${choice.name} ${choice.address?.text}` : choice.reason;
    };
    assert.equal(stays({ name: 'eth1', device: 3 }), 'eth1 192.168.7.1');
    assert.equal(stays({ name: 'was-eth1', device: 3 }), 'eth1 192.168.7.1');
    assert.match(stays({ name: 'eth9', device: 9 }), /^eth9 is not there; there are eth0 /);
  });

  test('need iproute2: anything else is one sentence', async () => {
    const busybox = async () => ({
      code: 1,
      stdout: '',
      stderr: 'ip: unrecognized option: j\nUsage',
    });
    await assert.rejects(readHostFacts(busybox), /failed: ip: unrecognized option: j \(iproute2/);
    const absent = () => Promise.reject(new Error('spawn ip ENOENT'));
    await assert.rejects(
      readHostFacts(absent),
      /^Error: ip of iproute2 cannot be started: spawn ip/,
    );
  });
});

describe('the uplink', () => {
  test('has the default route of the lowest metric; its first global address, and how to choose another', () => {
    const choice = chooseUplink(facts, none);
    assert.equal(choice.kind, 'uplink');
    if (choice.kind !== 'uplink') return;
    assert.equal(choice.mtu, 1402);
    assert.equal(choice.address6?.text, 'fd00::5');
    assert.deepEqual(texts(choice.prefixes), ['10.10.10.0/24', 'fd00::/64']);
    assert.equal(
      choice.how,
      'it has the default route; the first of its addresses, ' +
        'choose another (10.10.10.111) with --public-ip',
    );
  });

  const CANDIDATES =
    'eth0 (10.10.10.101, 10.10.10.111, fd00::5), eth1 (192.168.7.1), docker0 (10.100.1.1), wg0 (no address)';
  for (const [what, options, expected] of [
    ['a name', { iface: ['eth1'] }, 'eth1 192.168.7.1'],
    ['several names', { iface: ['eth9', '1.2.3.4', 'eth1', 'eth0'] }, 'eth1 192.168.7.1'],
    ['an address', { iface: ['10.10.10.111'] }, 'eth0 10.10.10.111'],
    ['an IPv6 address', { iface: ['fd00::5'] }, 'eth0 10.10.10.101'],
    ['a regex on an address', { ifaceRegex: ['^192\\.'] }, 'eth1 192.168.7.1'],
    ['a regex on a later address', { ifaceRegex: ['111$'] }, 'eth0 10.10.10.111'],
    ['a regex on a name', { ifaceRegex: ['h1$'] }, 'eth1 192.168.7.1'],
    ['a name before a regex', { iface: ['eth1'], ifaceRegex: ['eth0'] }, 'eth1 192.168.7.1'],
    ['a regex after no name', { iface: ['x'], ifaceRegex: ['eth1'] }, 'eth1 192.168.7.1'],
    ['a public address', { publicIp: address('10.10.10.111') }, 'eth0 10.10.10.111'],
    [
      'a VIP on lo that peers can resolve',
      { publicIp: address('10.10.10.250') },
      'eth0 10.10.10.250',
    ],
    [
      'an unknown name',
      { iface: ['eth9'] },
      `No interface matches --iface=eth9; there are ${CANDIDATES}.`,
    ],
    [
      'nothing at all',
      { iface: ['a'], ifaceRegex: ['zz', 'yy'] },
      `No interface matches --iface=a or --iface-regex=zz or --iface-regex=yy; there are ${CANDIDATES}.`,
    ],
    ['a broken regex', { ifaceRegex: ['['] }, '--iface-regex "[" is no regular expression.'],
    [
      'an interface without address',
      { iface: ['wg0'] },
      `wg0 has no IPv4 or global IPv6 address yet (--iface=wg0); there are ${CANDIDATES}.`,
    ],
  ] as const) {
    test(`by ${what}`, () => assert.equal(chosen(options), expected));
  }

  for (const publicIp of ['8.8.8.8', '203.0.113.1', '192.168.7.1']) {
    test(`cannot publish ${publicIp}, which peers do not reach through it`, () => {
      assert.match(
        chosen({ publicIp: address(publicIp) }),
        new RegExp(
          `^--public-ip=${publicIp} is no address that peers reach through eth0 \\(it has 10`,
        ),
      );
    });
  }

  test('without a default route is asked for, with the candidates, and may come', () => {
    const choice = chooseUplink(without({ defaultRoutes: [] }), none);
    assert.deepEqual(choice, {
      kind: 'none',
      canWait: true,
      reason: `There is no default route to tell the uplink by: name it with --iface; there are ${CANDIDATES}.`,
    });
  });

  test('by a broken regex never comes', () => {
    const choice = chooseUplink(facts, { ...none, ifaceRegex: ['('] });
    assert.equal(choice.kind === 'none' && choice.canWait, false);
  });

  test('with only a link-local address has that one', () => {
    const bare = facts.links.map((one) => ({ ...one, addresses: one.addresses.slice(0, 1) }));
    assert.equal(chosen({ iface: ['eth0'] }, without({ links: bare })), 'eth0 169.254.3.3');
  });

  test('by a destination is where the kernel would send it, and from what address', async () => {
    const reach = parseReach(
      '[{"dst":"9.9.9.9","dev":"eth0","prefsrc":"10.10.10.111","flags":[]}]',
    );
    const options = { ...none, ifaceCanReach: address('9.9.9.9') };
    const choice = chooseUplink(facts, options, reach);
    assert.equal(choice.kind === 'uplink' && choice.address?.text, '10.10.10.111');
    const unreachable = async () => ({ code: 2, stdout: '[]', stderr: 'RTNETLINK answers' });
    const nowhere = await findUplink(facts, options, unreachable);
    assert.match(JSON.stringify(nowhere), /There is no route to --iface-can-reach=9\.9\.9\.9/);
    const own = chooseUplink(facts, options, { device: 'lo', source: undefined });
    assert.match(JSON.stringify(own), /this host's own address.*"canWait":false/);
  });
});

describe('a real host', { skip: needs('root', 'ip', 'unshare', 'nsenter') }, () => {
  test('is read as it is, from an empty namespace to one with routes', async () => {
    const host = await Namespace.create();
    try {
      const empty = await readHostFacts(host.run);
      assert.deepEqual(empty.connected, []);
      assert.match(
        JSON.stringify(chooseUplink(empty, none)),
        /there are no interfaces but loopback/,
      );
      await host.sh(`
        ip link add eth0.7 type veth peer name other
        ip link set other up; ip link set eth0.7 mtu 1450 up
        ip address add 10.10.10.101/24 dev eth0.7; ip address add 10.10.10.111/24 dev eth0.7
        ip address add 10.9.0.1 peer 10.9.0.2 dev eth0.7
        ip address add fd00::5/64 dev eth0.7 nodad
        ip route add default via 10.10.10.1; ip route add 10.100.9.0/24 via 10.10.10.1
        ip -6 route add default via fd00::1`);
      const full = await readHostFacts(host.run);
      const choice = await findUplink(
        full,
        { ...none, ifaceCanReach: address('10.9.0.2') },
        host.run,
      );
      assert.equal(choice.kind, 'uplink');
      if (choice.kind !== 'uplink') return;
      assert.equal(`${choice.name} ${choice.address?.text} ${choice.mtu}`, 'eth0.7 10.9.0.1 1450');
      assert.equal(choice.address6?.text, 'fd00::5');
      const around = surroundingsOf(full, choice.device, []);
      assert.deepEqual(texts(around.defaultGateways), ['10.10.10.1', 'fd00::1']);
      assert.ok(texts(around.onLink).includes('10.9.0.2/32'));
      assert.ok(texts(around.onLink).includes('10.10.10.0/24'));
      assert.ok(!texts(around.connected).includes('10.100.9.0/24'));
      const down = full.links.find(({ name }) => name === 'lo');
      assert.deepEqual([down?.up, down?.carrier, down?.kind], [false, false, 'loopback']);
    } finally {
      await host.close();
    }
  });
});
