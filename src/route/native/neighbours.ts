/**
 * The packed records in which neighbour entries cross to and from the addon.
 * The layout is described once, in native/rtnetlink/src/neighbour.rs.
 */
import { Buffer } from 'node:buffer';
import { type KernelNeighbour, type NeighbourOp, NUD } from '../neighbours/types.ts';
import { getAddress, putAddress } from './records.ts';

/** Bytes of one record. */
export const NEIGHBOUR_RECORD = 24;

const FLAG_V6 = 1;
const FLAG_LEARNED = 2;
const FLAG_MANAGED = 4;

/** An entry that did answer, and is or will be asked again. */
const ASKED = NUD.stale | NUD.delay | NUD.probe;

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

/**
 * Unpacks one dump after the other. What has not changed comes as the same object as before, and a state that did keeps its
 * address: there may be 16,000 entries each ten seconds, nearly all in the order and the state of before. Where all say the
 * same, the array is that of before too; and what the kernel only asks again, as it does with every managed entry now and
 * then, still says that it is reachable, until something else has changed.
 */
export class NeighbourDumps {
  #bytes: Uint8Array = new Uint8Array();
  #view: DataView = new DataView(new ArrayBuffer(0));
  #entries: readonly KernelNeighbour[] = [];

  read(bytes: Uint8Array): readonly KernelNeighbour[] {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (bytes.length % NEIGHBOUR_RECORD !== 0)
      throw new RangeError(`${bytes.length} bytes are no records`);
    if (isSame(this.#bytes, bytes)) return this.#entries;
    const entries: KernelNeighbour[] = [];
    let old = 0;
    for (let at = 0; at < bytes.length; at += NEIGHBOUR_RECORD) {
      // One that is new moves those behind it one place on, one that went moves them one back.
      if (!this.#isAt(old, view, at) && this.#isAt(old + 1, view, at)) old += 1;
      const known = this.#isAt(old, view, at) ? this.#entries[old] : undefined;
      if (known !== undefined) old += 1;
      entries.push(decodeNeighbour(view, at, known));
    }
    this.#bytes = bytes;
    this.#view = view;
    this.#entries = entries;
    return entries;
  }

  /** Whether the last dump's record of this index says the same but for the state. */
  #isAt(index: number, view: DataView, at: number): boolean {
    const begin = index * NEIGHBOUR_RECORD;
    if (begin >= this.#view.byteLength) return false;
    const last = this.#view;
    if (last.getUint32(begin) << 8 !== view.getUint32(at) << 8) return false;
    for (let word = 4; word < NEIGHBOUR_RECORD; word += 4)
      if (last.getUint32(begin + word) !== view.getUint32(at + word)) return false;
    return true;
  }
}

/** Whether a dump says what the last one said, but for those that were reachable then and are asked again. */
function isSame(last: Uint8Array, bytes: Uint8Array): boolean {
  if (last.length !== bytes.length) return false;
  const held = bytes.slice();
  for (let at = 0; at < held.length; at += NEIGHBOUR_RECORD)
    if (last[at] === NUD.reachable && ((held[at] ?? 0) & ASKED) !== 0) held[at] = NUD.reachable;
  return Buffer.compare(last, held) === 0;
}

/** `known`: the same entry as the last dump showed it, perhaps in another state. */
function decodeNeighbour(
  view: DataView,
  at: number,
  known: KernelNeighbour | undefined,
): KernelNeighbour {
  const state = view.getUint8(at);
  if (known !== undefined) return known.state === state ? known : { ...known, state };
  const flags = view.getUint8(at + 1);
  return {
    address: getAddress(view, at + 8, (flags & FLAG_V6) !== 0),
    device: view.getUint32(at + 4, true),
    state,
    protocol: view.getUint8(at + 2),
    learned: (flags & FLAG_LEARNED) !== 0,
    managed: (flags & FLAG_MANAGED) !== 0,
  };
}
