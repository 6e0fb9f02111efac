import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { RouteDriverError } from '../../../src/route/index.ts';
import { parseLinks, parseRoutes } from '../../../src/route/ip/dump.ts';

const links = new Map([
  ['lo', 1],
  ['eth0', 2],
  ['if9', 5],
]);

const read = (rows: readonly object[], family: 4 | 6 = 4) =>
  parseRoutes(JSON.stringify(rows), family, 254, links).map((r) => ({
    ...r,
    prefix: r.prefix.text,
    gateway: r.gateway?.text,
    source: r.source?.text,
  }));

test('links are read by name and index', () => {
  const json = '[{"ifindex":1,"ifname":"lo"},{},{"ifindex":7,"ifname":"a\\"b"}]';
  assert.deepEqual(
    [...parseLinks(json)],
    [
      ['lo', 1],
      ['a"b', 7],
    ],
  );
});

test('what ip leaves out is unicast, boot, metric 0 and the table asked for', () => {
  assert.deepEqual(read([{ dst: 'default', gateway: '10.0.0.1', dev: 'eth0', flags: [] }]), [
    {
      prefix: '0.0.0.0/0',
      gateway: '10.0.0.1',
      device: 2,
      metric: 0,
      protocol: 3,
      table: 254,
      type: 1,
      tos: 0,
      source: undefined,
      linkDown: false,
      more: false,
    },
  ]);
});

test('numbers come as text with -N, the type of service in hex', () => {
  const [r] = read([
    { type: '6', dst: '10.1.0.0/24', protocol: '77', tos: '0x10', metric: 4294967295 },
  ]);
  assert.deepEqual(
    [r?.type, r?.protocol, r?.tos, r?.metric, r?.device],
    [6, 77, 16, 4294967295, 0],
  );
});

test('an IPv4 multipath route is one row without gateway, IPv6 siblings are rows of their own', () => {
  const hops = (a: string, b: string) => [
    { gateway: a, dev: 'eth0', flags: ['linkdown'] },
    { gateway: b, dev: 'eth0', flags: [] },
  ];
  const v4 = read([{ dst: '10.1.0.0/24', nexthops: hops('10.0.0.1', '10.0.0.2') }]);
  assert.deepEqual(
    v4.map((r) => [r.gateway, r.device, r.linkDown]),
    [[undefined, 0, false]],
  );
  const v6 = read([{ dst: 'fd01::/64', metric: 1024, nexthops: hops('fd00::1', 'fd00::2') }], 6);
  assert.deepEqual(
    v6.map((r) => [r.gateway, r.device, r.linkDown]),
    [
      ['fd00::1', 2, true],
      ['fd00::2', 2, false],
    ],
  );
});

test('of an encapsulated route the first dst is the destination, and the second tos its own', () => {
  const json =
    '[{"dst":"10.1.0.0/24","encap":"ip","id":100,"src":"0.0.0.0","dst":"10.0.0.77","ttl":0,"tos":3,"tos":"0x08",' +
    '"gateway":"10.0.0.9","dev":"eth0","flags":[]},{"dst":"10.2.0.0/24","encap":"ip","dst":"10.0.0.78","tos":4,' +
    '"dev":"eth0","flags":[]},{"dst":"10.3.0.0/24","dev":"eth0","flags":[]}]';
  assert.deepEqual(
    parseRoutes(json, 4, 254, links).map((r) => [r.prefix.text, r.tos, r.more]),
    [
      ['10.1.0.0/24', 8, true],
      ['10.2.0.0/24', 0, true],
      ['10.3.0.0/24', 0, false],
    ],
  );
});

test('what cannot be written is more: any key or flag that is not known, a scope, a preference', () => {
  const of = (more: object) =>
    read([{ dst: '10.1.0.0/24', gateway: '10.0.0.1', dev: 'eth0', flags: [], ...more }])[0]?.more;
  for (const more of [
    { metrics: [{ mtu: 1400 }] },
    { flow: { to: '5' } },
    { nhid: 7 },
    { flags: ['onlink'] },
    { scope: '200' },
    { pref: 'high' },
    { 'something of tomorrow': 1 },
  ])
    assert.equal(of(more), true, JSON.stringify(more));
  for (const usual of [{ flags: ['dead', 'linkdown', 'rt_offload'] }, { pref: 'medium' }])
    assert.equal(of(usual), false, JSON.stringify(usual));
});

test('an IPv4 route by an IPv6 gateway keeps that gateway', () => {
  const via = { family: 'inet6', host: 'fe80::1' };
  assert.deepEqual(
    read([{ dst: '10.1.0.0/24', via, dev: 'eth0' }]).map((r) => r.gateway),
    ['fe80::1'],
  );
});

test('rows of another family are left out: a kernel without IPv6 answers with them', () => {
  assert.deepEqual(read([{ dst: '10.1.0.0/24', dev: 'eth0' }], 6), []);
});

test('a name wins over an index that looks like it', () => {
  const rows = [
    { dst: '10.1.0.0/24', dev: 'if9' },
    { dst: '10.2.0.0/24', dev: 'if77' },
  ];
  assert.deepEqual(
    read(rows).map((r) => r.device),
    [5, 77],
  );
});

test('nothing printed is no routes', () => {
  assert.deepEqual(parseRoutes('', 4, 254, links), []);
  assert.deepEqual(parseRoutes('[]\n', 4, 254, links), []);
});

test('what cannot be read is refused, never skipped', () => {
  for (const json of [
    '[',
    'Dump terminated',
    '{}',
    'null',
    '[null]',
    '[{"dst":5}]',
    '[{"gateway":"10.0.0.1"}]',
    '[{"dst":"10.1.0.0/33"}]',
    '[{"dst":"nonsense"}]',
    '[{"dst":"10.1.0.0/24","dev":"gone0"}]',
    '[{"dst":"10.1.0.0/24","gateway":"x"}]',
    '[{"dst":"10.1.0.0/24","protocol":"bird"}]',
    '[{"dst":"10.1.0.0/24","protocol":""}]',
    '[{"dst":"10.1.0.0/24","metric":1.5}]',
    '[{"dst":"10.1.0.0/24","nexthops":"many"}]',
    '[{"dst":"10.1.0.0/24","nexthops":[{"gateway":"10.0.0.1","dev":"gone0"}]}]',
  ]) {
    assert.throws(() => parseRoutes(json, 4, 254, links), RouteDriverError, json);
  }
});

test('no JSON makes it throw anything else', () => {
  const word = fc.oneof(
    fc.jsonValue(),
    fc.ipV4(),
    fc.constantFrom('default', 'eth0', '10.0.0.0/8'),
  );
  const fields = [
    'dst',
    'gateway',
    'via',
    'dev',
    'metric',
    'protocol',
    'nexthops',
    'flags',
    'prefsrc',
  ];
  fc.assert(
    fc.property(fc.array(fc.dictionary(fc.constantFrom(...fields), word)), (rows) => {
      try {
        read(rows);
      } catch (error) {
        assert.ok(error instanceof RouteDriverError, String(error));
      }
    }),
    { numRuns: 1000 },
  );
});

test('a row that says the same again gives the same object, and any difference another', () => {
  const row = { dst: '10.1.0.0/24', gateway: '10.0.0.9', dev: 'eth0', protocol: '99', flags: [] };
  const memory = { rows: new Map() };
  const once = (one: object, names = links, table = 254) =>
    parseRoutes(JSON.stringify([one]), 4, table, names, memory);
  const [first] = once(row);
  assert.ok(first);
  assert.equal(once(row)[0], first);
  const others: readonly object[] = [
    { ...row, gateway: '10.0.0.8' },
    { ...row, dev: 'if9' },
    { ...row, metric: 7 },
    { ...row, protocol: '3' },
    { ...row, table: '100' },
    { ...row, type: '7' },
    { ...row, tos: '0x10' },
    { ...row, prefsrc: '10.0.0.1' },
    { ...row, flags: ['linkdown'] },
    { ...row, gateway: undefined, via: { family: 'inet6', host: 'fd00::9' } },
    { ...row, nexthops: [{ gateway: '10.0.0.9', dev: 'eth0', weight: 1, flags: [] }] },
  ];
  for (const other of others) {
    once(row);
    const fresh = parseRoutes(JSON.stringify([other]), 4, 254, links);
    assert.deepEqual(once(other), fresh, JSON.stringify(other));
    assert.notDeepEqual(fresh, [first]);
  }
  once(row);
  assert.equal(once(row, new Map([['eth0', 8]]))[0]?.device, 8, 'the name has another index');
  assert.equal(once(row, links, 100)[0]?.table, 100);
  assert.throws(() => once(row, new Map()), RouteDriverError);
});
