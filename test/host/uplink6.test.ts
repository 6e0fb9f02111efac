/** Which interface and which IPv6 address peers are told of. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseHostFacts } from '../../src/host/facts.ts';
import { chooseUplink, type UplinkOptions } from '../../src/host/uplink.ts';
import { address, facts, none } from './uplinkFacts.ts';

describe('the facts of IPv6', () => {
  test('have connected prefixes and default routes, wherever they stand among routes by a gateway', () => {
    const peer = { dst: 'fd00:100:0:9::/64', gateway: 'fd00::9', dev: 'eth0', flags: [] };
    const hops = [
      { gateway: 'fd00::9', dev: 'eth0' },
      { gateway: 'fd00::8', dev: 'eth0' },
    ];
    const rest = [
      { dst: 'fd00::/64', dev: 'eth0', flags: [] },
      { dst: 'default', gateway: 'fe80::2', dev: 'eth0', metric: 7, flags: [] },
      { dst: 'fd00:100:0:8::/64', nexthops: hops },
    ];
    const link = { ifindex: 2, ifname: 'eth0', flags: ['UP'], mtu: 1500 };
    const read = (routes: readonly object[]) =>
      parseHostFacts({
        addresses: JSON.stringify([link]),
        routes: [{ family: 6, text: JSON.stringify(routes) }],
      });
    const plain = read(rest);
    assert.deepEqual(
      [plain.connected.length, plain.defaultRoutes.length, plain.defaultRoutes[0]?.metric],
      [1, 1, 7],
    );
    for (const at of [0, 1, 2, 3])
      assert.deepEqual(read([...rest.slice(0, at), peer, peer, ...rest.slice(at)]), plain);
    assert.deepEqual(read([peer]).connected, []);
  });
});

describe('the uplink', () => {
  const v6only = facts.links.map((one) =>
    one.name === 'eth1'
      ? {
          ...one,
          addresses: [
            {
              address: address('fd00:7::30'),
              length: 64,
              secondary: false,
              usable: true,
              dynamic: true,
            },
            { address: address('fd00:7::20'), length: 64, secondary: false, usable: true },
            { address: address('fd00:7::10'), length: 64, secondary: false, usable: true },
            { address: address('fd00:7::5'), length: 64, secondary: false, usable: false },
          ],
        }
      : one,
  );
  const route6 = { family: 6 as const, gateway: address('fe80::2'), device: 3, metric: 1024 };
  const six = { ...facts, links: v6only, defaultRoutes: [...facts.defaultRoutes, route6] };
  const chosen6 = (options: Partial<UplinkOptions>, from = six): string => {
    const choice = chooseUplink(from, { ...none, ...options });
    return choice.kind === 'uplink'
      ? `${choice.name} ${choice.address?.text} ${choice.address6?.text}${choice.how6}`
      : choice.reason;
  };
  const FIRST =
    '; the first of its IPv6 addresses, choose another (fd00:7::20, fd00:7::30) with --public-ipv6';
  for (const [what, options, expected] of [
    ['its own default route', { families: [6] }, `eth1 undefined fd00:7::10${FIRST}`],
    ['both families of one interface', { families: [4, 6] }, 'eth0 10.10.10.101 fd00::5'],
    ['IPv4 alone where it is that', { families: [4] }, 'eth0 10.10.10.101 undefined'],
    [
      'an address that is in use',
      { families: [6], keep: address('fd00:7::30') },
      `eth1 undefined fd00:7::30${FIRST.replace('20, fd00:7::30', '10, fd00:7::20')}`,
    ],
    [
      'one that has gone from use',
      { families: [6], keep: address('fd00:7::99') },
      `eth1 undefined fd00:7::10${FIRST}`,
    ],
    [
      'its address as --iface',
      { families: [6], iface: ['fd00:7::20'] },
      'eth1 undefined fd00:7::20',
    ],
    ['a regex on it', { families: [6], ifaceRegex: ['::30$'] }, 'eth1 undefined fd00:7::30'],
    [
      '--public-ipv6',
      { families: [6], publicIpv6: address('fd00:7::20') },
      'eth1 undefined fd00:7::20, address by --public-ipv6',
    ],
    [
      'only the other family on a named one',
      { families: [4, 6], iface: ['eth1'] },
      /^eth1 has no IPv4 address yet/,
    ],
    [
      'a link-local address at most',
      { families: [6], iface: ['docker0'] },
      /^docker0 has no global IPv6 address yet \(--iface=docker0\), but the default route of IPv6 is through eth1: name the interface that has both with --iface; there/,
    ],
    [
      'a public one elsewhere',
      { families: [6], publicIpv6: address('2001:db8::1') },
      /^--public-ipv6=2001:db8::1 is no address that peers reach through eth1/,
    ],
    [
      'a public one of the link alone',
      { families: [6], iface: ['eth0'], publicIpv6: address('fe80::1') },
      /^--public-ipv6=fe80::1 is no address/,
    ],
  ] as const) {
    test(`of IPv6 by ${what}`, () => {
      if (typeof expected === 'string') assert.equal(chosen6(options), expected);
      else assert.match(chosen6(options), expected);
    });
  }
});
