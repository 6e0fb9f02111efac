import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { parseNetworkConfig, type SubnetRange } from '../../src/config/index.ts';
import { containsAddress, prefixOf } from '../../src/ip/index.ts';

function range(config: object): SubnetRange {
  const result = parseNetworkConfig(JSON.stringify({ Backend: { Type: 'host-gw' }, ...config }));
  assert.ok(result.kind === 'valid' && result.config.v4 !== undefined, JSON.stringify(result));
  return result.config.v4;
}

const only6 = (config: object): object => ({ EnableIPv4: false, EnableIPv6: true, ...config });

function reason(config: object | string): string {
  const text =
    typeof config === 'string'
      ? config
      : JSON.stringify({ Backend: { Type: 'host-gw' }, ...config });
  const result = parseNetworkConfig(text);
  assert.equal(result.kind, 'invalid', text);
  return result.kind === 'invalid' ? result.reason : '';
}

describe('the network config', () => {
  test("takes flannel's defaults: /24 subnets, the first one skipped", () => {
    const { network, subnetLength, min, max } = range({ Network: '10.100.0.0/16' });
    assert.deepEqual(
      [network.text, subnetLength, min.text, max.text],
      ['10.100.0.0/16', 24, '10.100.1.0', '10.100.255.0'],
    );
  });

  test('splits a network longer than /22 into four', () => {
    assert.equal(range({ Network: '10.1.2.0/23' }).subnetLength, 25);
    assert.equal(range({ Network: '10.1.2.0/22' }).subnetLength, 24);
    assert.equal(range({ Network: '10.1.2.0/28' }).subnetLength, 30);
  });

  test('takes what the second recipe gives', () => {
    const { subnetLength, min, max } = range({
      Network: '192.168.0.0/16',
      SubnetLen: 26,
      SubnetMin: '192.168.0.64',
      SubnetMax: '192.168.250.192',
    });
    assert.deepEqual([subnetLength, min.text, max.text], [26, '192.168.0.64', '192.168.250.192']);
  });

  test('takes keys in any case, nulls and unknown keys as Go does', () => {
    const result = parseNetworkConfig(
      '{"network":"10.1.0.0/16","SUBNETLEN":25,"subnetMin":null,"comment":1,"backend":{"type":"Host-GW","x":1}}',
    );
    assert.ok(result.kind === 'valid');
    assert.equal(result.config.v4?.subnetLength, 25);
  });

  const shape = (config: object): (readonly (string | number)[] | undefined)[] => {
    const result = parseNetworkConfig(JSON.stringify({ Backend: { Type: 'host-gw' }, ...config }));
    assert.ok(result.kind === 'valid', result.kind === 'invalid' ? result.reason : '');
    return [result.config.v4, result.config.v6].map(
      (of) => of && [of.network.text, of.subnetLength, of.min.text, of.max.text],
    );
  };

  test("takes flannel's defaults of IPv6: /64 subnets, the first one skipped", () => {
    const both = { Network: '10.100.0.0/16', EnableIPv6: true, IPv6Network: 'fd00:1:2::9/48' };
    const six = ['fd00:1:2::/48', 64, 'fd00:1:2:1::', 'fd00:1:2:ffff::'];
    assert.deepEqual(shape(both), [['10.100.0.0/16', 24, '10.100.1.0', '10.100.255.0'], six]);
    assert.deepEqual(shape({ ...both, EnableIPv4: false }), [undefined, six]);
    assert.deepEqual(shape({ ...both, EnableIPv6: false, IPv6Network: 'no matter' })[1], undefined);
  });

  test('splits an IPv6 network longer than /62 into four, and takes limits; :: is none', () => {
    const length = (IPv6Network: string) => shape(only6({ IPv6Network }))[1]?.[1];
    assert.deepEqual(['fd00::/62', 'fd00::/63', 'fd00::/124'].map(length), [64, 65, 126]);
    const limits = { IPv6SubnetMin: 'fd00:0:0:10::', IPv6SubnetMax: 'fd00:0:0:20::' };
    const given = { IPv6Network: 'fd00::/48', IPv6SubnetLen: 64, ...limits };
    assert.deepEqual(shape(only6(given))[1]?.slice(2), ['fd00:0:0:10::', 'fd00:0:0:20::']);
    const unset = { IPv6Network: 'fd00::/48', IPv6SubnetMin: '::', IPv6SubnetMax: '0::0' };
    assert.deepEqual(shape(only6(unset))[1]?.slice(2), ['fd00:0:0:1::', 'fd00:0:0:ffff::']);
  });

  const broken: readonly (readonly [string, object | string, RegExp])[] = [
    ['no JSON', '{"Network":', /^it is not JSON/],
    ['no object', '[]', /^it is not a JSON object$/],
    ['no Network', {}, /^Network is not set/],
    ['a Network that is a number', { Network: 10 }, /^Network is 10: it must be a string$/],
    [
      'a Network that is none',
      { Network: '10.1.0.0' },
      /^Network is "10.1.0.0": it must be an IPv4 network/,
    ],
    [
      'a Network that is too small',
      { Network: '10.1.0.0/29' },
      /^Network is 10.1.0.0\/29: it is too small/,
    ],
    [
      'a SubnetLen over 30',
      { Network: '10.1.0.0/16', SubnetLen: 31 },
      /^SubnetLen is 31: it must be at most 30$/,
    ],
    ['a SubnetLen below 0', { Network: '10.1.0.0/16', SubnetLen: -1 }, /^SubnetLen is -1/],
    [
      'a SubnetLen with a fraction',
      { Network: '10.1.0.0/16', SubnetLen: 24.5 },
      /^SubnetLen is 24.5: it must be a whole number$/,
    ],
    [
      'fewer than four subnets',
      { Network: '10.1.0.0/16', SubnetLen: 17 },
      /must hold at least four subnets/,
    ],
    [
      'a SubnetMin outside',
      { Network: '10.1.0.0/16', SubnetMin: '10.2.0.0' },
      /^SubnetMin is "10.2.0.0": it must lie inside Network 10.1.0.0\/16$/,
    ],
    [
      'a SubnetMax off the boundary',
      { Network: '10.1.0.0/16', SubnetMax: '10.1.9.7' },
      /^SubnetMax is 10.1.9.7: it must be on a SubnetLen boundary, such as 10.1.9.0/,
    ],
    [
      'a SubnetMin after SubnetMax',
      { Network: '10.1.0.0/16', SubnetMin: '10.1.9.0', SubnetMax: '10.1.8.0' },
      /must not be after SubnetMax/,
    ],
    [
      'another backend',
      { Network: '10.1.0.0/16', Backend: { Type: 'vxlan' } },
      /^Backend.Type is "vxlan": it must be "host-gw"/,
    ],
    [
      'no backend',
      { Network: '10.1.0.0/16', Backend: undefined },
      /^Backend.Type is not set, which means udp/,
    ],
    [
      'no family at all',
      { Network: '10.1.0.0/16', EnableIPv4: false },
      /^EnableIPv4 and EnableIPv6 are false: one of them must be true$/,
    ],
    ['a Network of everything', { Network: '0.0.0.0/0' }, /^Network is "0.0.0.0\/0": it must be/],
    [
      'IPv6 and no IPv6Network',
      { Network: '10.1.0.0/16', EnableIPv6: true },
      /^IPv6Network is not set: it must be an IPv6 network such as fd00:100::\/48$/,
    ],
    [
      'IPv6 and no Network',
      { EnableIPv6: true, IPv6Network: 'fd00::/48' },
      /^Network is not set: it must be an IPv4 network/,
    ],
    ['an IPv6Network of IPv4', only6({ IPv6Network: '10.1.0.0/16' }), /^IPv6Network is "10.1.0.0/],
    [
      'an IPv6Network of all',
      only6({ IPv6Network: '::/0' }),
      /^IPv6Network is "::\/0": it must be/,
    ],
    [
      'an IPv6Network that is too small',
      only6({ IPv6Network: 'fd00::/125' }),
      /^IPv6Network is fd00::\/125: it is too small, the smallest is a \/124$/,
    ],
    [
      'an IPv6SubnetLen over 126',
      only6({ IPv6Network: 'fd00::/48', IPv6SubnetLen: 127 }),
      /^IPv6SubnetLen is 127: it must be at most 126$/,
    ],
    [
      'fewer than four IPv6 subnets',
      only6({ IPv6Network: 'fd00::/63', IPv6SubnetLen: 64 }),
      /^IPv6SubnetLen is 64: IPv6Network fd00::\/63 must hold at least four .* at least 65$/,
    ],
    [
      'an IPv6SubnetMin outside',
      only6({ IPv6Network: 'fd00::/48', IPv6SubnetMin: 'fd00:0:1::' }),
      /^IPv6SubnetMin is "fd00:0:1::": it must lie inside IPv6Network fd00::\/48$/,
    ],
    [
      'an IPv6SubnetMax off the boundary',
      only6({ IPv6Network: 'fd00::/48', IPv6SubnetMax: 'fd00:0:0:9:1::' }),
      /^IPv6SubnetMax is fd00:0:0:9:1::: it must be on a IPv6SubnetLen boundary, such as fd00:0:0:9::/,
    ],
    [
      'an IPv6SubnetMin after IPv6SubnetMax',
      only6({
        IPv6Network: 'fd00::/48',
        IPv6SubnetMin: 'fd00:0:0:9::',
        IPv6SubnetMax: 'fd00:0:0:8::',
      }),
      /^IPv6SubnetMin is fd00:0:0:9::: it must not be after IPv6SubnetMax/,
    ],
    [
      'a flag that is text',
      { Network: '10.1.0.0/16', EnableIPv4: 'yes' },
      /^EnableIPv4 is "yes": it must be true or false$/,
    ],
  ];
  for (const [what, config, expected] of broken) {
    test(`with ${what} is refused by field, value and rule`, () =>
      assert.match(reason(config), expected));
  }

  test('never throws, whatever stands in the key', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => void parseNetworkConfig(text)),
    );
  });

  test('every valid range lies inside its network on subnet boundaries', () => {
    const config = fc.record({
      octet: fc.integer({ min: 0, max: 255 }),
      length: fc.integer({ min: 0, max: 32 }),
      subnet: fc.integer({ min: 0, max: 32 }),
    });
    fc.assert(
      fc.property(config, ({ octet, length, subnet }) => {
        const text = JSON.stringify({
          Network: `10.${octet}.0.0/${length}`,
          SubnetLen: subnet,
          Backend: { Type: 'host-gw' },
        });
        const result = parseNetworkConfig(text);
        if (result.kind === 'invalid' || result.config.v4 === undefined) return;
        const { network, min, max, subnetLength } = result.config.v4;
        for (const end of [min, max]) {
          assert.ok(containsAddress(network, end));
          assert.equal(prefixOf(end, subnetLength).address.text, end.text);
        }
        assert.ok(min.value <= max.value);
      }),
    );
  });
});
