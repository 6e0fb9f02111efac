/** Neighbour entries cross to the addon and back as they are. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Address, v4, v6 } from '../../../src/ip/index.ts';
import {
  encodeNeighbourOps,
  NEIGHBOUR_RECORD,
  NeighbourDumps,
} from '../../../src/route/native/neighbours.ts';
import { type NeighbourOp, NUD } from '../../../src/route/neighbours/types.ts';
import { address } from '../samples.ts';

const KINDS = ['', 'add', 'adopt', 'delete'];
const anyAddress: fc.Arbitrary<Address> = fc.oneof(
  fc.nat(0xffff_ffff).map(v4),
  fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }).map(v6),
);
const anyOp: fc.Arbitrary<NeighbourOp> = fc.record({
  kind: fc.constantFrom('add', 'adopt', 'delete'),
  neighbour: fc.record({ address: anyAddress, device: fc.integer({ min: 1, max: 0x7fff_ffff }) }),
  protocol: fc.integer({ min: 1, max: 255 }),
});

test('a record holds all of an entry, of either family', () => {
  fc.assert(
    fc.property(fc.array(anyOp, { maxLength: 20 }), (ops) => {
      const read = new NeighbourDumps().read(encodeNeighbourOps(ops)).map((entry) => {
        assert.deepEqual([entry.learned, entry.managed], [false, false]);
        const { address, device, protocol, state } = entry;
        return { kind: KINDS[state], neighbour: { address, device }, protocol };
      });
      assert.deepEqual(
        read,
        ops.map((op) => ({ ...op, neighbour: { ...op.neighbour } })),
      );
    }),
  );
});

test('a batch is byte for byte what the Rust side tests itself against', () => {
  const ops: NeighbourOp[] = [
    {
      kind: 'add',
      neighbour: { address: address('10.10.10.101'), device: 0x090a0b0c },
      protocol: 104,
    },
    {
      kind: 'adopt',
      neighbour: { address: address('fe80::1:2'), device: 0x7fff_ffff },
      protocol: 255,
    },
    { kind: 'delete', neighbour: { address: address('192.168.0.1'), device: 1 }, protocol: 104 },
  ];
  const golden = new URL('../../../native/rtnetlink/golden/neighbours.hex', import.meta.url);
  const expected = readFileSync(golden, 'utf8').replaceAll(/\s/g, '');
  assert.equal(Buffer.from(encodeNeighbourOps(ops)).toString('hex'), expected);
});

test('bytes that are no whole records are refused', () => {
  const dumps = new NeighbourDumps();
  assert.throws(() => dumps.read(new Uint8Array(NEIGHBOUR_RECORD + 1)), RangeError);
});

// Few addresses and kinds, so that dumps have most in common. A kind lies where a dump has the state.
const similarOp: fc.Arbitrary<NeighbourOp> = fc.record({
  kind: fc.constantFrom('add', 'adopt'),
  neighbour: fc.record({
    address: fc.oneof(fc.nat(8).map(v4), fc.bigInt({ min: 0n, max: 3n }).map(v6)),
    device: fc.integer({ min: 1, max: 2 }),
  }),
  protocol: fc.integer({ min: 1, max: 2 }),
});

test('whatever dumps came before, each is read as if it were the first', () => {
  const anyDumps = fc.array(fc.array(similarOp, { maxLength: 12 }), { maxLength: 6 });
  fc.assert(
    fc.property(anyDumps, (dumps) => {
      const reader = new NeighbourDumps();
      for (const bytes of dumps.map(encodeNeighbourOps))
        assert.deepEqual(reader.read(bytes), new NeighbourDumps().read(bytes));
    }),
    { numRuns: 500 },
  );
});

test('what stays is the same object, also where another one came or went or changed its state', () => {
  const op = (last: number, kind: 'add' | 'adopt' = 'add'): NeighbourOp => {
    return { kind, neighbour: { address: v4(last), device: 1 }, protocol: 104 };
  };
  const reader = new NeighbourDumps();
  const read = (...ops: NeighbourOp[]) => reader.read(encodeNeighbourOps(ops));
  const [one, two, three] = read(op(1), op(2), op(3));
  assert.deepEqual(
    read(op(1), op(9), op(2), op(3)).map((entry) => [one, two, three].includes(entry)),
    [true, false, true, true],
  );
  const [, second, third] = read(op(1), op(2, 'adopt'), op(3));
  assert.notEqual(second, two);
  assert.equal(second?.address, two?.address);
  assert.equal(third, three);
});

test('a dump in which the kernel only asks again who was reachable is the last one, and nothing else is', () => {
  const fields = { state: fc.constantFrom(1, 2, 4, 8, 16, 32, 64, 128), asked: fc.boolean() };
  fc.assert(
    fc.property(fc.array(fc.record({ op: similarOp, ...fields }), { maxLength: 12 }), (all) => {
      const reader = new NeighbourDumps();
      const before = encodeNeighbourOps(all.map(({ op }) => op));
      for (const [index, { state }] of all.entries()) before[index * NEIGHBOUR_RECORD] = state;
      const first = reader.read(before);
      const after = before.slice();
      for (const [index, { asked, state }] of all.entries())
        if (asked && state === NUD.reachable) after[index * NEIGHBOUR_RECORD] = NUD.probe;
      assert.equal(reader.read(after), first);
      for (const [index, { state }] of all.entries()) {
        const other = after.slice();
        other[index * NEIGHBOUR_RECORD] = state === NUD.failed ? NUD.reachable : NUD.failed;
        assert.deepEqual(reader.read(other), new NeighbourDumps().read(other));
        reader.read(before);
      }
    }),
  );
});
