/** Neighbour entries cross to the addon and back as they are. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Address, v4, v6 } from '../../../src/ip/index.ts';
import {
  decodeNeighbours,
  encodeNeighbourOps,
  NEIGHBOUR_RECORD,
} from '../../../src/route/native/neighbours.ts';
import type { NeighbourOp } from '../../../src/route/neighbours/types.ts';
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
      const read = decodeNeighbours(encodeNeighbourOps(ops)).map((entry) => {
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
  assert.throws(() => decodeNeighbours(new Uint8Array(NEIGHBOUR_RECORD + 1)), RangeError);
});
