import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { prefixOf, v4, v6 } from '../../src/ip/index.ts';
import { leaseValue, parseSubnetName, subnetName } from '../../src/lease/codec.ts';
import { address, lease, prefix, read, valueText } from '../support/leases.ts';

const CLEAN = /^[\x20-\x7e]{1,400}$/;

describe('key names', () => {
  test('are those that flannel writes: IPv4, dual-stack, IPv6-only', () => {
    const subnet = prefix('10.100.3.0/24');
    const subnet6 = prefix('fd00:1:2::/64');
    assert.equal(subnetName({ subnet, subnet6: undefined }), '10.100.3.0-24');
    assert.equal(subnetName({ subnet, subnet6 }), '10.100.3.0-24&fd00:1:2::-64');
    assert.equal(subnetName({ subnet: undefined, subnet6 }), '0.0.0.0-0&fd00:1:2::-64');
  });

  test('come back as the subnets they were made from', () => {
    const four = fc
      .tuple(fc.nat(0xffffffff), fc.integer({ min: 1, max: 32 }))
      .map(([value, length]) => prefixOf(v4(value), length));
    const six = fc
      .tuple(fc.bigInt(0n, 2n ** 128n - 1n), fc.integer({ min: 0, max: 128 }))
      .filter(([value]) => value >> 32n !== 0xffffn)
      .map(([value, length]) => prefixOf(v6(value), length));
    fc.assert(
      fc.property(
        fc.option(four, { nil: undefined }),
        fc.option(six, { nil: undefined }),
        (subnet, subnet6) => {
          if (subnet === undefined && subnet6 === undefined) return;
          const back = parseSubnetName(subnetName({ subnet, subnet6 }));
          assert.equal(back?.subnet?.text, subnet?.text);
          assert.equal(back?.subnet6?.text, subnet6?.text);
        },
      ),
    );
  });

  for (const name of [
    '',
    'config',
    '10.100.3.0',
    '10.100.3.0/24',
    '10.100.3.0-33',
    '10.100.300.0-24',
    '10.100.3.0-24&',
    '10.100.3.0-24&fd00::-129',
    '10.100.3.0-24&10.0.0.0-8',
    'x10.100.3.0-24',
    '10.100.3.0-24\n',
    '10.100.3.0--24',
  ])
    test(`${JSON.stringify(name)} names no lease`, () => {
      const result = read(name, valueText('10.10.10.1'));
      assert.equal(result.kind, 'malformed');
    });

  test('one subnet has one name: others are malformed, but their subnet counts as taken', () => {
    for (const name of ['10.100.3.5-24', '10.100.3.0-024', '10.100.3.0-24&fd00:1:2:0::-64']) {
      const result = read(name, valueText('10.10.10.1'));
      assert.ok(result.kind === 'malformed');
      assert.match(result.reason, /should be named 10\.100\.3\.0-24/);
      assert.equal(result.subnet?.text, '10.100.3.0/24');
    }
  });
});

describe('values', () => {
  test('are byte for byte what flannel writes', () => {
    const publicIp = address('10.10.10.104');
    assert.equal(
      leaseValue({ publicIp, publicIp6: undefined }),
      '{"PublicIP":"10.10.10.104","PublicIPv6":null,"BackendType":"host-gw"}',
    );
    assert.equal(
      leaseValue({ publicIp: undefined, publicIp6: address('fd00::1') }),
      '{"PublicIP":"0.0.0.0","PublicIPv6":"fd00::1","BackendType":"host-gw"}',
    );
  });

  test('are read with fields in any case and order, unknown ones ignored', () => {
    const result = read(
      '10.100.3.0-24',
      '{"x":[1],"backendtype":"host-gw","BackendData":{"VtepMAC":"aa"},"PUBLICIP":"10.10.10.7"}',
      { etcdLease: '123', created: 8, modified: 9 },
    );
    assert.ok(result.kind === 'lease');
    assert.equal(result.lease.publicIp?.text, '10.10.10.7');
    assert.equal(result.lease.publicIp6, undefined);
    assert.equal(result.lease.backendType, 'host-gw');
    assert.deepEqual(
      [result.lease.etcdLease, result.lease.createRevision, result.lease.modRevision],
      ['123', 8, 9],
    );
  });

  test('the zero address of an IPv6-only lease is no address', () => {
    const result = read('0.0.0.0-0&fd00:1:2::-64', valueText('0.0.0.0', 'fd00:9::7'));
    assert.ok(result.kind === 'lease');
    assert.equal(result.lease.subnet, undefined);
    assert.equal(result.lease.publicIp, undefined);
    assert.equal(result.lease.publicIp6?.text, 'fd00:9::7');
  });

  const bad: [string, string, RegExp][] = [
    ['broken JSON', '{"PublicIP":', /not JSON/],
    ['an array', '[]', /not a JSON object/],
    ['null', 'null', /not a JSON object/],
    ['nothing', '', /not JSON/],
    ['a name for an address', '{"PublicIP":"host1"}', /PublicIP "host1", which is not an IPv4/],
    ['a number for an address', '{"PublicIP":17}', /PublicIP 17/],
    ['IPv6 as PublicIP', '{"PublicIP":"fd00::1"}', /not an IPv4/],
    ['IPv4 as PublicIPv6', '{"PublicIPv6":"10.0.0.1"}', /not an IPv6/],
    ['a backend that is no string', '{"BackendType":{"a":1}}', /BackendType/],
    ['control characters', '{"PublicIP":"\u001b[31m\\n\\u0000"}', /not/],
    ['a megabyte', JSON.stringify({ PublicIP: 'x'.repeat(1 << 20) }), /characters/],
  ];
  for (const [what, value, reason] of bad)
    test(`${what} is malformed, in one clean sentence`, () => {
      const result = read('10.100.3.0-24', value);
      assert.ok(result.kind === 'malformed');
      assert.match(result.reason, reason);
      assert.match(result.reason, CLEAN);
      assert.match(result.reason, /^lease 10\.100\.3\.0-24 /);
    });

  test('nothing that can be in etcd breaks the reader or reaches a log as it is', () => {
    const text = fc.oneof(fc.string({ unit: 'binary' }), fc.string());
    const json = fc.json();
    fc.assert(
      fc.property(text, fc.oneof(text, json), (name, value) => {
        const result = read(name, value);
        if (result.kind === 'malformed') {
          assert.match(result.reason, CLEAN);
          assert.match(result.name, /^[\x20-\x7e]*$/);
        }
      }),
      { numRuns: 500 },
    );
  });

  test('a value that we wrote is read as what we meant', () => {
    const publicIp = address('10.10.10.104');
    const result = read('10.100.3.0-24', leaseValue({ publicIp, publicIp6: undefined }));
    assert.deepEqual(result, { kind: 'lease', lease: lease('10.100.3.0-24', '10.10.10.104') });
  });
});
