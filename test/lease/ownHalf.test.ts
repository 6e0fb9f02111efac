import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { overlaps, prefixOf, v4, v6 } from '../../src/ip/index.ts';
import { fits } from '../../src/lease/allocator.ts';
import { completed, earlierKeys, halfUnder } from '../../src/lease/ownHalf.ts';
import { address, DUAL, NETWORK, prefix, range, read, valueText } from '../support/leases.ts';
import { Bench, STATE, US } from '../support/ownBench.ts';

const four = (n: number) => prefixOf(v4(0x0a640000 + n * 256), 24);
const six = (n: number) => prefixOf(v6((0xfd000001_00000000n + BigInt(n)) << 64n), 64);
const none = { subnet: undefined, subnet6: undefined };
const ONLY6 = { v4: undefined, v6: DUAL.v6 };

const HALF = '10.100.3.0-24';

/** Holds the IPv4 half of its subnet, and has just asked for both: what it asks etcd at each input. */
function migrating() {
  const bench = new Bench({ state: STATE });
  bench.config({ kind: 'valid', config: DUAL });
  bench.give({ type: 'addresses', publicIp: address(US), publicIp6: address('fd00:9::104') });
  bench.leases([HALF, US, '700']);
  bench.saved();
  const asked = bench.kept('700');
  return { bench, asked };
}

describe('a transaction that puts both halves in the place of one', () => {
  test('and is refused because the one is gone is asked for again without it', () => {
    const { bench, asked } = migrating();
    assert.deepEqual(bench.compared, [`${HALF}&fd00:1:0:3::-64 absent`, `${HALF} 11`], `${asked}`);
    assert.equal(bench.refused().length, 1);
    assert.deepEqual(bench.compared, [`${HALF}&fd00:1:0:3::-64 absent`]);
  });

  test('and is refused again and again though nothing is other than we know is asked for ever more slowly', () => {
    const { bench } = migrating();
    bench.refused();
    const at: number[] = [];
    for (let i = 0; i < 4; i += 1) {
      assert.deepEqual(bench.refused(), [], 'not at once');
      assert.equal(bench.wake().length, 1);
      at.push(bench.now);
    }
    const [a = 0, b = 0, c = 0, d = 0] = at;
    assert.ok(a > 0 && b - a > a && c - b > b - a && d - c > c - b, `${at}`);
  });
});

describe('the half of a subnet', () => {
  test('is kept whole, with a free subnet beside it, whatever is taken', () => {
    const index = fc.integer({ min: 1, max: 255 });
    const taken = fc.array(fc.integer({ min: 1, max: 300 }).map(six), { maxLength: 40 });
    fc.assert(
      fc.property(index, taken, fc.string(), (n, others, seed) => {
        const half = { ...none, subnet: four(n) };
        const request = { config: DUAL, taken: others, departed: [], previous: undefined, seed };
        const found = completed(half, request) ?? assert.fail('there are 65,535 of IPv6');
        assert.equal(found.subnet?.text, half.subnet.text);
        assert.ok(fits(DUAL, found));
        assert.ok(others.every((one) => found.subnet6 && !overlaps(one, found.subnet6)));
        const partner = six(n).text;
        if (!others.some(({ text }) => text === partner))
          assert.equal(found.subnet6?.text, partner);
      }),
    );
  });

  test('is all there is where the network lost the other family', () => {
    const both = { subnet: four(3), subnet6: six(9) };
    const request = { taken: [], departed: [], previous: undefined, seed: '' };
    const of = (config: typeof DUAL) => completed(both, { config, ...request });
    assert.deepEqual(of(NETWORK), { ...none, subnet: both.subnet });
    assert.deepEqual(of(ONLY6), { ...none, subnet6: both.subnet6 });
    assert.equal(of(DUAL), undefined, 'what fits whole is no half');
  });

  test('is none outside the network, nor where another lease overlaps it', () => {
    const request = { config: DUAL, departed: [], previous: undefined, seed: '' };
    const taken = [prefix('10.100.0.0/20')];
    assert.equal(completed({ ...none, subnet: four(3) }, { ...request, taken }), undefined);
    const outside = { ...none, subnet: prefix('10.200.3.0/24') };
    assert.equal(completed(outside, { ...request, taken: [] }), undefined);
  });

  test('with no free subnet left beside it waits with all others', () => {
    const config = { v4: NETWORK.v4, v6: range('fd00:1::/62', 64, 'fd00:1:0:1::', 'fd00:1:0:3::') };
    const request = { config, departed: [], previous: undefined, seed: '' };
    const taken = [prefix('fd00:1::/62')];
    assert.equal(completed({ ...none, subnet: four(3) }, { ...request, taken }), undefined);
  });

  test('is looked for under our own etcd lease and address, and only what overlaps goes with it', () => {
    const leases = new Map(
      [
        ['10.100.3.0-24', '7'],
        ['10.100.4.0-24', '8'],
        ['10.100.5.0-24', '7'],
      ].map(([name = '', etcdLease = '']) => {
        const lease = read(name, valueText('10.10.10.101'), { etcdLease, created: 4, modified: 9 });
        return [name, lease] as const;
      }),
    );
    const us = (etcdLease: string, at = '10.10.10.101') => {
      return { etcdLease, here: { publicIp: address(at), publicIp6: undefined } };
    };
    assert.equal(halfUnder(us('8'), leases, DUAL), '10.100.4.0-24');
    assert.equal(halfUnder(us('9'), leases, DUAL), undefined);
    assert.equal(halfUnder(us('8'), leases, NETWORK), undefined);
    const name = '10.100.3.0-24&fd00:1:0:3::-64';
    assert.deepEqual(earlierKeys(name, us('7'), leases), [{ name: '10.100.3.0-24', revision: 9 }]);
    assert.deepEqual(earlierKeys(name, us('8'), leases), []);
    // A machine cloned from this one has its state, but not its address.
    assert.equal(halfUnder(us('8', '10.10.10.9'), leases, DUAL), undefined);
    assert.deepEqual(earlierKeys(name, us('7', '10.10.10.9'), leases), []);
  });
});
