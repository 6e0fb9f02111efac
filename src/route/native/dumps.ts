/**
 * Reads one dump after the other and gives routes that have not changed as the same objects as before, and all of them as
 * the same array where none has: most of a dump is like the last one, and whoever compares the two is done at a glance.
 */
import { Buffer } from 'node:buffer';
import type { KernelRoute } from '../types.ts';
import { decodeRoute, RECORD } from './records.ts';

const WORDS = RECORD / 4;
/** Where the prefix's address begins. */
const ADDRESS = 20;

interface Dump {
  readonly bytes: Uint8Array;
  readonly words: Uint32Array;
  readonly view: DataView;
  readonly routes: readonly KernelRoute[];
}

export class Dumps {
  #last: Dump | undefined;

  read(bytes: Uint8Array): readonly KernelRoute[] {
    const last = this.#last;
    if (last !== undefined && Buffer.compare(last.bytes, bytes) === 0) return last.routes;
    if (bytes.length % RECORD !== 0) throw new RangeError(`${bytes.length} bytes are no records`);
    // Words lie at multiples of four, which a copy begins at.
    const { buffer, byteOffset, length } = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
    const words = new Uint32Array(buffer, byteOffset, length / 4);
    const view = new DataView(buffer, byteOffset, length);
    const routes = decode(words, view, last);
    this.#last = { bytes, words, view, routes };
    return routes;
  }
}

/** Dumps are in the order of their prefixes, so two of them are walked side by side; out of order costs only time. */
function decode(words: Uint32Array, view: DataView, last: Dump | undefined): KernelRoute[] {
  const routes: KernelRoute[] = [];
  let old = 0;
  for (let at = 0; at < view.byteLength; at += RECORD) {
    let known: KernelRoute | undefined;
    if (last !== undefined) {
      if (!isSame(last.words, old * WORDS, words, at / 4))
        while (old < last.routes.length && isBefore(last.view, old * RECORD, view, at)) old += 1;
      if (isSame(last.words, old * WORDS, words, at / 4)) {
        known = last.routes[old];
        old += 1;
      }
    }
    routes.push(known ?? decodeRoute(view, at));
  }
  return routes;
}

/** By the first half of the address: what is left of it distinguishes no prefix of up to 64 bits. */
function isBefore(a: DataView, i: number, b: DataView, j: number): boolean {
  for (let half = ADDRESS; half < ADDRESS + 8; half += 4) {
    const [x, y] = [a.getUint32(i + half), b.getUint32(j + half)];
    if (x !== y) return x < y;
  }
  return false;
}

function isSame(a: Uint32Array, i: number, b: Uint32Array, j: number): boolean {
  if (i >= a.length) return false;
  for (let word = 0; word < WORDS; word += 1) if (a[i + word] !== b[j + word]) return false;
  return true;
}
