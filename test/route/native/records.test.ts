import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  type Address,
  type Prefix,
  parseAddress,
  parsePrefix,
  prefixOf,
  v4,
  v6,
} from '../../../src/ip/index.ts';
import { Dumps } from '../../../src/route/native/dumps.ts';
import { encodeFilter, encodeOps, RECORD } from '../../../src/route/native/records.ts';
import type { RouteOp } from '../../../src/route/types.ts';

const U32 = 0xffff_ffff;
const anyV4 = fc.nat(U32).map(v4);
const anyV6 = fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }).map(v6);

const opOf = (address: fc.Arbitrary<Address>, bits: number): fc.Arbitrary<RouteOp> =>
  fc.record({
    kind: fc.constantFrom('add', 'append', 'delete'),
    route: fc.record(
      {
        prefix: fc.tuple(address, fc.nat(bits)).map(([base, length]) => prefixOf(base, length)),
        gateway: address,
        device: fc.integer({ min: 1, max: 0x7fff_ffff }),
        metric: fc.nat(U32),
        protocol: fc.integer({ min: 1, max: 255 }),
        table: fc.integer({ min: 1, max: U32 }),
        source: address,
      },
      { requiredKeys: ['prefix', 'gateway', 'device', 'metric', 'protocol', 'table'] },
    ),
  });
const anyOp = fc.oneof(opOf(anyV4, 32), opOf(anyV6, 128));

const address = (text: string): Address => parseAddress(text) ?? assert.fail(text);
const prefix = (text: string): Prefix => parsePrefix(text) ?? assert.fail(text);

describe('packed records', () => {
  test('a record holds all of a route, of either family', () => {
    fc.assert(
      fc.property(fc.array(anyOp, { maxLength: 20 }), (ops) => {
        const kinds = ['', 'add', 'append', 'delete'];
        const read = new Dumps()
          .read(encodeOps(ops))
          .map(({ type, tos, linkDown, more, ...route }) => {
            assert.deepEqual([tos, linkDown, more], [0, false, false]);
            const { source, ...rest } = route;
            return { kind: kinds[type], route: source === undefined ? rest : route };
          });
        assert.deepEqual(
          read,
          ops.map(({ kind, route }) => ({ kind, route: { ...route } })),
        );
      }),
    );
  });

  test('a batch and a filter are byte for byte what the Rust side tests itself against', () => {
    const golden = new URL('../../../native/rtnetlink/golden/', import.meta.url);
    const read = (name: string): string =>
      readFileSync(new URL(name, golden), 'utf8').replaceAll(/\s/g, '');
    const ops: RouteOp[] = [
      {
        kind: 'delete',
        route: {
          prefix: prefix('10.100.20.0/24'),
          gateway: address('10.10.10.101'),
          device: 0x01020304,
          metric: 0x05060708,
          protocol: 77,
          table: 0x090a0b0c,
          source: address('10.10.10.104'),
        },
      },
      {
        kind: 'append',
        route: {
          prefix: prefix('fd01:203:405::/48'),
          gateway: address('fe80::1:2'),
          device: 7,
          metric: 0xffff_ffff,
          protocol: 255,
          table: 254,
        },
      },
    ];
    assert.equal(Buffer.from(encodeOps(ops)).toString('hex'), read('ops.hex'));
    const within = [prefix('10.100.0.0/16'), prefix('fd01:200::/24')];
    const filter = encodeFilter({ table: 0x090a0b0c, protocol: 77, within });
    assert.equal(Buffer.from(filter).toString('hex'), read('filter.hex'));
  });

  test('a view into a larger buffer is read from its own start', () => {
    const op = fc.sample(anyOp, { numRuns: 1, seed: 1 });
    const packed = encodeOps(op);
    const larger = new Uint8Array(packed.length + 5);
    larger.set(packed, 5);
    assert.deepEqual(new Dumps().read(larger.subarray(5)), new Dumps().read(packed));
  });

  test('bytes that are no whole records are refused', () => {
    assert.throws(() => new Dumps().read(new Uint8Array(RECORD + 1)), RangeError);
  });

  test('one dump after another gives what each of them says, and what is unchanged as the same object', () => {
    const ops = fc.uniqueArray(anyOp, {
      maxLength: 20,
      selector: ({ route }) => route.prefix.text,
    });
    const inOrder = (list: readonly RouteOp[]): Uint8Array =>
      encodeOps([...list].sort((a, b) => (a.route.prefix.text < b.route.prefix.text ? -1 : 1)));
    fc.assert(
      fc.property(ops, ops, fc.infiniteStream(fc.boolean()), (before, more, coins) => {
        const kept = before.filter(() => coins.next().value);
        const dumps = new Dumps();
        for (const packed of [before, [...kept, ...more], kept, [], more].map(inOrder))
          assert.deepEqual(dumps.read(packed), new Dumps().read(packed));
        const first = dumps.read(inOrder(before));
        assert.equal(dumps.read(inOrder(before)), first);
        const longer = dumps.read(Buffer.concat([inOrder(before), inOrder(more)]));
        assert.ok(first.every((route, index) => route === longer[index]));
      }),
    );
  });
});
