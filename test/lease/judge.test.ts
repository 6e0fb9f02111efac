import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type JudgeContext, judge, warningsFor } from '../../src/lease/judge.ts';
import {
  address,
  DUAL,
  lease,
  NETWORK,
  prefix,
  range,
  read,
  SURROUNDINGS,
  valueText,
} from '../support/leases.ts';

const OWN = { name: '10.100.20.0-24', subnet: prefix('10.100.20.0/24'), subnet6: undefined };
const CONTEXT: JudgeContext = { config: NETWORK, own: OWN, surroundings: SURROUNDINGS };
/** Network inside the LAN: every address of a peer may lie inside somebody's subnet. */
const LAN: JudgeContext = {
  ...CONTEXT,
  surroundings: {
    localAddresses: [address('10.100.7.9')],
    connected: [prefix('10.0.0.0/8')],
    onLink: [prefix('10.0.0.0/8')],
    defaultGateways: [address('10.100.8.1')],
  },
};

function reasonOf(name: string, gateway: string, context = CONTEXT): string {
  const verdict = judge(lease(name, gateway), context);
  assert.ok('reason' in verdict, `${name} via ${gateway} is ${verdict.kind}`);
  return `${verdict.kind}: ${verdict.reason}`;
}

describe('a lease by itself', () => {
  test('is believed inside Network, of the right length, with a gateway on the uplink', () => {
    const verdict = judge(lease('10.100.43.0-24', '10.10.10.102'), CONTEXT);
    assert.ok(verdict.kind === 'believed');
    const routes = verdict.peers.map((peer) => `${peer.prefix.text} via ${peer.gateway.text}`);
    assert.deepEqual(routes, ['10.100.43.0/24 via 10.10.10.102']);
  });

  test('is ours by its name, whatever it says', () => {
    assert.equal(judge(lease('10.100.20.0-24', '10.10.10.102'), CONTEXT).kind, 'ours');
  });

  test('of another backend, or of none, gets no route', () => {
    for (const type of ['vxlan', '', 'HOST-GW']) {
      const result = read(
        '10.100.3.0-24',
        JSON.stringify({ PublicIP: '10.10.10.7', BackendType: type }),
      );
      assert.ok(result.kind === 'lease');
      assert.equal(judge(result.lease, CONTEXT).kind, 'other-backend');
    }
  });

  const refused: [string, string, RegExp, JudgeContext?][] = [
    ['0.0.0.0-1', '10.10.10.102', /is outside Network 10\.100\.0\.0\/16/],
    ['0.0.0.0-0', '10.10.10.102', /is outside Network/],
    ['10.101.3.0-24', '10.10.10.102', /is outside Network/],
    ['10.10.10.0-24', '10.10.10.102', /is outside Network/],
    ['10.100.0.0-16', '10.10.10.102', /has length 16, but SubnetLen is 24/],
    ['10.100.3.0-25', '10.10.10.102', /has length 25/],
    ['10.100.3.7-32', '10.10.10.102', /has length 32/],
    ['10.100.3.0-24', '10.10.10.104', /this host's own address/],
    ['10.100.3.0-24', '127.0.0.1', /a loopback address/],
    ['10.100.3.0-24', '224.0.0.5', /a multicast address/],
    ['10.100.3.0-24', '255.255.255.255', /the broadcast address/],
    ['10.100.3.0-24', '240.0.0.1', /not a unicast address/],
    ['10.100.3.0-24', '10.10.10.255', /the broadcast address of 10\.10\.10\.0\/24/],
    ['10.100.7.0-24', '10.9.9.9', /holds this host's address 10\.100\.7\.9/, LAN],
    ['10.100.8.0-24', '10.9.9.9', /holds the default gateway 10\.100\.8\.1/, LAN],
    ['10.100.9.0-24', '10.100.9.3', /inside the lease's own subnet/, LAN],
  ];
  for (const [name, gateway, reason, context] of refused)
    test(`${name} via ${gateway} is refused: ${reason.source}`, () => {
      const said = reasonOf(name, gateway, context);
      assert.match(said, reason);
      assert.ok(said.startsWith(`refused: lease ${name} `), said);
    });

  test('without an address is refused', () => {
    const result = read('10.100.3.0-24', '{"BackendType":"host-gw"}');
    assert.ok(result.kind === 'lease');
    const verdict = judge(result.lease, CONTEXT);
    assert.ok(verdict.kind === 'refused');
    assert.match(verdict.reason, /names no PublicIP/);
  });

  test('that overlaps our own is refused, also if the config has since changed its length', () => {
    const config = {
      v4: range('10.100.0.0/16', 26, '10.100.0.64', '10.100.255.192'),
      v6: undefined,
    };
    assert.match(
      reasonOf('10.100.20.64-26', '10.10.10.102', { ...CONTEXT, config }),
      /overlaps our own 10\.100\.20\.0\/24/,
    );
  });

  test('that equals, contains or lies inside a connected prefix is refused', () => {
    const withLink = (text: string): JudgeContext => ({
      ...CONTEXT,
      surroundings: { ...SURROUNDINGS, connected: [...SURROUNDINGS.connected, prefix(text)] },
    });
    const peer = '10.10.10.102';
    assert.match(
      reasonOf('10.100.3.0-24', peer, withLink('10.100.3.0/24')),
      /equals the connected prefix/,
    );
    assert.match(
      reasonOf('10.100.3.0-24', peer, withLink('10.100.3.128/25')),
      /contains the connected prefix/,
    );
    assert.match(
      reasonOf('10.100.3.0-24', peer, withLink('10.100.0.0/20')),
      /lies inside the connected prefix/,
    );
  });

  test('inside a connected prefix that holds all of Network is legal, with one warning', () => {
    assert.equal(judge(lease('10.100.43.0-24', '10.9.9.9'), LAN).kind, 'believed');
    assert.equal(warningsFor(LAN).length, 1);
    assert.deepEqual(warningsFor(CONTEXT), []);
  });

  test('with a gateway behind a router is off-link, which is not refused', () => {
    assert.match(
      reasonOf('10.100.3.0-24', '10.20.0.1'),
      /^off-link: lease 10\.100\.3\.0-24 .*10\.20\.0\.1/,
    );
  });
});

describe('families', () => {
  const context: JudgeContext = { ...CONTEXT, config: DUAL };
  const both = (
    gateway: string,
    gateway6: string | null,
    used = context,
  ): ReturnType<typeof judge> => {
    const result = read('10.100.3.0-24&fd00:1:0:3::-64', valueText(gateway, gateway6));
    assert.ok(result.kind === 'lease');
    return judge(result.lease, used);
  };

  test('a dual-stack lease gives a route in each', () => {
    const verdict = both('10.10.10.102', 'fd00:9::102');
    assert.ok(verdict.kind === 'believed');
    assert.deepEqual(
      verdict.peers.map((peer) => peer.prefix.text),
      ['10.100.3.0/24', 'fd00:1:0:3::/64'],
    );
  });

  test('where the config has one family, only that one counts', () => {
    const verdict = both('10.10.10.102', '::1', CONTEXT);
    assert.ok(verdict.kind === 'believed');
    assert.equal(verdict.peers.length, 1);
  });

  test('one bad family discredits the lease, an off-link or unnamed one is only left out', () => {
    assert.equal(both('10.10.10.102', '::1').kind, 'refused');
    assert.equal(both('10.10.10.102', 'ff02::1').kind, 'refused');
    const verdict = both('10.10.10.102', 'fd00:8::102');
    assert.ok(verdict.kind === 'believed');
    assert.equal(verdict.peers.length, 1);
    assert.match(verdict.note ?? '', /not on-link.*, so that it has a route in IPv4 only$/);
    const unnamed = both('10.10.10.102', null);
    assert.ok(unnamed.kind === 'believed' && unnamed.peers.length === 1);
    assert.match(unnamed.note ?? '', /names no PublicIPv6, so that it has a route in IPv4 only$/);
    const six = both('0.0.0.0', 'fd00:9::102');
    assert.ok(six.kind === 'believed' && six.peers[0]?.prefix.text === 'fd00:1:0:3::/64');
    assert.equal(both('0.0.0.0', null).kind, 'refused');
  });

  test('a lease of the other family only is refused', () => {
    const config = { v4: undefined, v6: DUAL.v6 };
    assert.match(reasonOf('10.100.3.0-24', '10.10.10.102', { ...CONTEXT, config }), /is IPv4 only/);
  });

  test('a lease from before the network was dual-stack keeps its one route, and that is said', () => {
    const old = judge(lease('10.100.3.0-24', '10.10.10.102'), context);
    assert.ok(old.kind === 'believed' && old.peers.length === 1);
    assert.match(old.note ?? '', /has no IPv6 subnet, which the network config asks for/);
    const later = both('10.10.10.102', 'fd00:9::102');
    assert.equal(later.kind === 'believed' && later.note, undefined);
  });

  test('IPv6 is judged like IPv4, and says its own fields', () => {
    const six = (name: string, gateway: string, surroundings = SURROUNDINGS): string => {
      const result = read(`0.0.0.0-0&${name}`, valueText('0.0.0.0', gateway));
      assert.ok(result.kind === 'lease', name);
      const config = { v4: undefined, v6: DUAL.v6 };
      const verdict = judge(result.lease, { ...CONTEXT, config, own: undefined, surroundings });
      return 'reason' in verdict ? verdict.reason : verdict.kind;
    };
    const around = {
      ...SURROUNDINGS,
      connected: [
        ...SURROUNDINGS.connected,
        prefix('fd00:1:0:7::/64'),
        prefix('fd00:1:0:8:1::/80'),
      ],
      localAddresses: [
        ...SURROUNDINGS.localAddresses,
        address('fd00:1:0:6::1'),
        address('fe80::1'),
      ],
      onLink: [...SURROUNDINGS.onLink, prefix('fe80::/64')],
      defaultGateways: [address('fd00:1:0:5::1')],
    };
    const good = 'fd00:1:0:3::-64';
    for (const [name, gateway, expected] of [
      [good, 'fd00:9::102', /^believed$/],
      ['fd00:2:0:3::-64', 'fd00:9::102', /is outside IPv6Network fd00:1::\/48/],
      ['fd00:1:0:3::-80', 'fd00:9::102', /has length 80, but IPv6SubnetLen is 64/],
      ['fd00:1:0:7::-64', 'fd00:9::102', /equals the connected prefix fd00:1:0:7::\/64/],
      ['fd00:1:0:8::-64', 'fd00:9::102', /contains the connected prefix fd00:1:0:8:1::\/80/],
      ['fd00:1:0:6::-64', 'fd00:9::102', /holds this host's address fd00:1:0:6::1/],
      ['fd00:1:0:5::-64', 'fd00:9::102', /holds the default gateway fd00:1:0:5::1/],
      [good, 'fd00:9::104', /is this host's own address/],
      [good, 'fe80::1', /is this host's own address/],
      [good, 'fd00:1:0:3::9', /is inside the lease's own subnet/],
      [good, '2001:db8::1', /is not on-link/],
      [good, '::1', /is the loopback address/],
      [good, 'ff02::1', /is a multicast address/],
    ] as const)
      assert.match(six(name, gateway, around), expected, `${name} via ${gateway}`);
  });
});
