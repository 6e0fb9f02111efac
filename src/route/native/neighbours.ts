/**
 * The packed records in which neighbour entries cross to and from the addon.
 * The layout is described once, in native/rtnetlink/src/neighbour.rs.
 */
import type { KernelNeighbour, NeighbourOp } from '../neighbours/types.ts';
import { getAddress, putAddress } from './records.ts';

/** Bytes of one record. */
export const NEIGHBOUR_RECORD = 24;

const FLAG_V6 = 1;
const FLAG_LEARNED = 2;
const FLAG_MANAGED = 4;

const KINDS = { add: 1, adopt: 2, delete: 3 } as const;

/** Packs a batch; the operations have been checked (checkNeighbourOps). */
export function encodeNeighbourOps(ops: readonly NeighbourOp[]): Uint8Array {
  const bytes = new Uint8Array(ops.length * NEIGHBOUR_RECORD);
  const view = new DataView(bytes.buffer);
  ops.forEach(({ kind, neighbour: { address, device }, protocol }, index) => {
    const at = index * NEIGHBOUR_RECORD;
    view.setUint8(at, KINDS[kind]);
    view.setUint8(at + 1, address.family === 6 ? FLAG_V6 : 0);
    view.setUint8(at + 2, protocol);
    view.setUint32(at + 4, device, true);
    putAddress(view, at + 8, address);
  });
  return bytes;
}

/** Unpacks the entries of a dump. */
export function decodeNeighbours(bytes: Uint8Array): KernelNeighbour[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const count = bytes.length / NEIGHBOUR_RECORD;
  if (!Number.isInteger(count)) throw new RangeError(`${bytes.length} bytes are no records`);
  return Array.from({ length: count }, (_, index) => {
    const at = index * NEIGHBOUR_RECORD;
    const flags = view.getUint8(at + 1);
    return {
      address: getAddress(view, at + 8, (flags & FLAG_V6) !== 0),
      device: view.getUint32(at + 4, true),
      state: view.getUint8(at),
      protocol: view.getUint8(at + 2),
      learned: (flags & FLAG_LEARNED) !== 0,
      managed: (flags & FLAG_MANAGED) !== 0,
    };
  });
}
