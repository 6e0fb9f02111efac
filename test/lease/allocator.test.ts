import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { addressAt, overlaps, prefixOf, v4 } from '../../src/ip/index.ts';
import { candidates, fits } from '../../src/lease/allocator.ts';
import { growth, timed } from '../support/growth.ts';
import { DUAL, NETWORK, prefix, range } from '../support/leases.ts';

const none = { taken: [], previous: undefined, seed: 'host' };

describe('the allocator', () => {
  test('gives every free subnet exactly once, in bounds, overlapping nothing that is taken, those held once last', () => {
    const network = prefix('10.64.0.0/12');
    const shape = fc.record({
      length: fc.integer({ min: 20, max: 30 }),
      first: fc.nat(50),
      count: fc.integer({ min: 1, max: 120 }),
      taken: fc.array(fc.tuple(fc.nat(130), fc.nat(0xffff), fc.integer({ min: 14, max: 32 })), {
        maxLength: 12,
      }),
      left: fc.array(fc.tuple(fc.nat(130), fc.integer({ min: 16, max: 32 })), { maxLength: 12 }),
      seed: fc.string(),
      wish: fc.option(fc.nat(200), { nil: undefined }),
    });
    fc.assert(
      fc.property(shape, ({ length, first, count, taken: holes, left, seed, wish }) => {
        const size = 2 ** (32 - length);
        const at = (index: number) => addressAt(network, (first + index) * size);
        const config = {
          v4: { network, subnetLength: length, min: at(0), max: at(count - 1) },
          v6: undefined,
        };
        const taken = holes.map(([index, inside, bits]) => {
          const base = at(index);
          assert.ok(base.family === 4);
          return prefixOf(v4(base.value + (inside % size)), bits);
        });
        const departed = left.map(([index, bits]) => prefixOf(at(index), bits));
        const free = new Set<string>();
        for (let index = 0; index < count; index++) {
          const subnet = prefixOf(at(index), length);
          if (!taken.some((hole) => overlaps(hole, subnet))) free.add(subnet.text);
        }
        const previous =
          wish === undefined
            ? undefined
            : { subnet: prefixOf(at(wish), length), subnet6: undefined };
        const given = [...candidates({ config, taken, departed, previous, seed })].map(
          ({ subnet }) => subnet?.text ?? '',
        );
        assert.equal(given.length, new Set(given).size);
        assert.deepEqual([...given].sort(), [...free].sort());
        const wished = previous?.subnet.text ?? '';
        if (free.has(wished)) assert.equal(given[0], wished);
        const held = given
          .filter((text) => text !== wished)
          .map((text) => departed.some((gone) => overlaps(gone, prefix(text))));
        assert.deepEqual(
          held,
          [...held].sort((a, b) => Number(a) - Number(b)),
        );
      }),
    );
  });

  test("goes over the whole of flannel's default range, from SubnetMin to SubnetMax", () => {
    const given = [...candidates({ ...none, config: NETWORK })].map(({ subnet }) => subnet?.text);
    assert.equal(new Set(given).size, 255);
    assert.ok(given.includes('10.100.1.0/24') && given.includes('10.100.255.0/24'));
    assert.ok(!given.includes('10.100.0.0/24'));
  });

  test('two hundred hosts that start together mostly try different subnets first', () => {
    const config = { v4: range('10.0.0.0/8', 24, '10.0.1.0', '10.255.255.0'), v6: undefined };
    const first = Array.from({ length: 200 }, (_, host) => {
      const [found] = candidates({ ...none, config, seed: `machine-${host}` });
      return found?.subnet?.text;
    });
    assert.ok(new Set(first).size >= 195, `${new Set(first).size} of 200`);
  });

  test('finds the only free one of 4 million subnets without a look at each', async () => {
    const cost = (length: number): number => {
      const last = v4(0x0a000000 + 2 ** (32 - length) - 4).text;
      const config = { v4: range(`10.0.0.0/${length}`, 30, '10.0.0.4', last), v6: undefined };
      const taken = Array.from({ length: 29 - length }, (_, bit) =>
        prefixOf(v4(0x0a000000 + 2 ** (bit + 3)), 29 - bit),
      );
      return timed(() => {
        const given = [...candidates({ ...none, config, taken })].map(({ subnet }) => subnet?.text);
        assert.deepEqual(given, ['10.0.0.4/30']);
      });
    };
    // The /8 has 256 times the subnets of the /16.
    const factor = await growth(cost, { small: 16, large: 8, limit: 30 });
    assert.ok(factor < 30, `256 times the subnets cost ${factor.toFixed(1)} times as much`);
  });

  test('in dual-stack one IPv4 subnet goes with one IPv6 subnet, so that rivals want one key', () => {
    const pairs = (seed: string) =>
      [...candidates({ ...none, config: DUAL, seed })].map(
        (pair) => `${pair.subnet?.text} ${pair.subnet6?.text}`,
      );
    assert.deepEqual(pairs('a').sort(), pairs('b').sort());
    assert.ok(pairs('a').includes('10.100.1.0/24 fd00:1:0:1::/64'));
    const taken = [prefix('10.100.1.0/24'), prefix('fd00:1:0:2::/64')];
    assert.equal([...candidates({ ...none, config: DUAL, taken })].length, 253);
  });

  test('a huge IPv6 network gives a first candidate at once', () => {
    const config = {
      v4: undefined,
      v6: range('fd00::/16', 126, 'fd00::4', 'fd00:ffff:ffff:ffff:ffff:ffff:ffff:fffc'),
    };
    const found = candidates({ ...none, config }).next().value;
    assert.equal(found?.subnet6?.length, 126);
  });

  test('what fits has exactly the families, length and bounds of the config', () => {
    const only = (text: string) => ({ subnet: prefix(text), subnet6: undefined });
    assert.ok(fits(NETWORK, only('10.100.255.0/24')));
    assert.ok(!fits(NETWORK, only('10.100.0.0/24')));
    assert.ok(!fits(NETWORK, only('10.100.4.0/25')));
    assert.ok(!fits(DUAL, only('10.100.4.0/24')));
    assert.ok(
      !fits(NETWORK, { subnet: prefix('10.100.4.0/24'), subnet6: prefix('fd00:1:0:4::/64') }),
    );
  });
});
