import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { containsPrefix, parseInterfaceAddress } from '../../../src/ip/index.ts';
import { EVERYTHING, hintOfLines } from '../../../src/route/ip/events.ts';
import { filter } from '../samples.ts';

const wanted = filter('10.1.0.0/16', 'fd01::/16');

/** What the lines are heard as, in short: `links routes`; empty for nothing. */
function heard(...lines: string[]): string {
  const hint = hintOfLines(lines, wanted);
  return Object.entries(hint ?? {})
    .filter(([, value]) => value)
    .map(([name]) => name)
    .join(' ');
}

test('links and addresses are always heard', () => {
  assert.equal(heard('[LINK]3: d0@d1: <NO-CARRIER,UP> mtu 1500 qdisc noqueue state DOWN'), 'links');
  assert.equal(heard('[LINK]Deleted 3: x0@NONE: <BROADCAST> mtu 1500'), 'links');
  assert.equal(heard('[ADDR]Deleted 3: d0    inet 10.9.9.9/24 scope 0 d0\\'), 'addresses');
});

test('several lines are one hint', () => {
  assert.equal(heard('[LINK]3: d0', '[ADDR]3: d0', ''), 'links addresses');
});

test('our protocol is heard anywhere, anybody inside the prefixes, in our table alone', () => {
  for (const [line, expected] of [
    ['[ROUTE]10.9.0.0/24 via 10.10.10.9 dev d0 proto 77 ', 'routes'],
    ['[ROUTE]Deleted 10.9.0.0/24 via 10.10.10.9 dev d0 proto 77 metric 7 ', 'routes'],
    ['[ROUTE]default via 10.10.10.9 dev d0 proto 77 ', 'routes'],
    ['[ROUTE]10.1.2.0/24 via 10.10.10.9 dev d0 ', 'routes'],
    ['[ROUTE]Deleted 10.1.2.3 via 10.10.10.9 dev d0 proto 42 ', 'routes'],
    ['[ROUTE]6 10.1.3.0/24 ', 'routes'],
    [
      '[ROUTE]10.1.7.0/24 \\\tnexthop via 10.10.10.7 dev d0 weight 1 \\\tnexthop via 10.10.10.8',
      'routes',
    ],
    ['[ROUTE]fd01::/64 proto 42 metric 1024 pref medium\\\tnexthop via fd00::8 dev d0', 'routes'],
    ['[ROUTE]fd01::5 via fd00::8 dev d0 proto 42 metric 1024 pref medium', 'routes'],
    ['[ROUTE]10.9.0.0/24 via 10.10.10.9 dev d0 proto 42 ', ''],
    ['[ROUTE]10.0.0.0/8 via 10.10.10.9 dev d0 proto 42 ', ''],
    ['[ROUTE]default via 10.10.10.9 dev d0 ', ''],
    ['[ROUTE]10.1.2.0/24 via 10.10.10.9 dev d0 table 1000 proto 77 ', ''],
    ['[ROUTE]Deleted 2 10.1.2.104 dev d0 table 255 proto 2 scope 254 src 10.1.2.104 ', ''],
    ['[ROUTE]Deleted fe80::/64 dev d1 proto 2 metric 256 pref medium', ''],
  ] as const) {
    assert.equal(heard(line), expected, line);
  }
});

test('an IPv4 prefix is heard exactly if it is inside or of our protocol', () => {
  const octet = fc.integer({ min: 0, max: 255 });
  const near = fc.tuple(fc.constant(10), fc.constantFrom(0, 1, 2), octet, octet);
  const far = fc.tuple(octet, octet, octet, octet);
  fc.assert(
    fc.property(
      fc.oneof(near, far),
      fc.integer({ min: 1, max: 32 }),
      fc.constantFrom(7, 42, 77, 177),
      fc.boolean(),
      (octets, length, protocol, gone) => {
        const all = parseInterfaceAddress(`${octets.join('.')}/${length}`);
        assert.ok(all);
        const { prefix } = all;
        const dst = length === 32 ? prefix.address.text : prefix.text;
        const line = `[ROUTE]${gone ? 'Deleted ' : ''}${dst} via 10.10.10.9 dev d0 proto ${protocol} `;
        const isOurs = protocol === 77 || wanted.within.some((w) => containsPrefix(w, prefix));
        assert.equal(heard(line), isOurs ? 'routes' : '', line);
      },
    ),
    { numRuns: 1000 },
  );
});

test('a default route is heard where everything is inside', () => {
  const all = filter('0.0.0.0/0');
  assert.equal(hintOfLines(['[ROUTE]default via 10.10.10.9 dev d0 '], all)?.routes, true);
});

test('what cannot be read counts as a change', () => {
  assert.deepEqual(hintOfLines(['netlink receive error'], wanted), EVERYTHING);
  for (const line of [
    '[ROUTE]',
    '[ROUTE]nonsense',
    '[ROUTE]10.9.0.0/24 dev table proto 42 ',
    '[ROUTE]10.9.0.0/24 dev d0 proto bird ',
    '[ROUTE]unreachable 10.9.0.0/24',
  ]) {
    assert.equal(heard(line), 'routes', line);
  }
});

test('no line makes it throw', () => {
  const line = fc.oneof(
    fc.string(),
    fc.string().map((text) => `[ROUTE]${text}`),
  );
  fc.assert(
    fc.property(fc.array(line), (lines) => {
      hintOfLines(lines, wanted);
    }),
  );
});
