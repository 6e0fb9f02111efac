/**
 * Finds and loads the addon, and tells a missing one from a broken one.
 * A truncated file kills every runtime with SIGBUS as soon as it is mapped, so its completeness is checked first.
 */

import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { sentenceOf } from '../../core/index.ts';
import { ABI } from './records.ts';

/** What `apply` of the addon answers; `unknown` is there exactly if operations may or may not have been done. */
export interface Applied {
  /** Index, errno and message number (-1 for none) of each failure, in order. */
  readonly failures: Int32Array;
  readonly messages: readonly string[];
  readonly unknown?: string | null;
}

/** One socket of the addon for batches, and at most one listener. */
export interface Netlink {
  apply(records: Uint8Array): Promise<Applied>;
  dump(filter: Uint8Array): Promise<Uint8Array>;
  applyNeighbours(records: Uint8Array): Promise<Applied>;
  dumpNeighbours(
    protocol: number,
    devices: number[],
  ): Promise<{ readonly records: Uint8Array; readonly live: readonly number[] }>;
  listen(filter: Uint8Array, onBits: (bits: number) => void): void;
  close(): void;
}

/** Hears nftables change. */
export interface Firewall {
  close(): void;
}

/** What the addon exports. */
export interface NativeAddon {
  readonly abi: () => number;
  readonly notify: (socket: string, text: string) => void;
  readonly Netlink: new () => Netlink;
  readonly Firewall: new (onChange: () => void) => Firewall;
}

/** absent: there is no file. broken: there is one, but it cannot be used. */
export type Loaded =
  | { readonly kind: 'loaded'; readonly native: NativeAddon }
  | { readonly kind: 'absent'; readonly reason: string }
  | { readonly kind: 'broken'; readonly reason: string };

/** Where scripts/native.mjs puts the addon. */
export const ADDON_FILE = fileURLToPath(new URL('../../../native/hostgw.node', import.meta.url));

/** Loads the addon from `file`. Never throws. */
export function loadAddon(file: string = ADDON_FILE): Loaded {
  try {
    const defect = defectOf(file);
    if (defect !== undefined) return { kind: 'broken', reason: `${file} ${defect}` };
    // Unlike require, process.dlopen also works inside a compiled executable, and it is one code on all runtimes.
    const loaded: { exports: unknown } = { exports: {} };
    process.dlopen(loaded, file);
    return checkExports(file, loaded.exports);
  } catch (error) {
    const reason = sentenceOf(error);
    if (isMissing(error)) return { kind: 'absent', reason: `${file} is not there` };
    return { kind: 'broken', reason: `${file} cannot be loaded: ${reason}` };
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

/** Whether what `file` exports is the addon of this version. */
export function checkExports(file: string, exports: unknown): Loaded {
  const found = (exports ?? {}) as Partial<NativeAddon>;
  const abi = typeof found.abi === 'function' ? found.abi() : undefined;
  if (abi !== ABI) {
    const is = abi === undefined ? 'has no version' : `has version ${abi}`;
    return { kind: 'broken', reason: `${file} ${is}, version ${ABI} is needed: build it anew` };
  }
  for (const name of ['notify', 'Netlink', 'Firewall'] as const) {
    if (typeof found[name] !== 'function')
      return { kind: 'broken', reason: `${file} lacks ${name}: build it anew` };
  }
  return { kind: 'loaded', native: found as NativeAddon };
}

const ELF_MAGIC = 0x7f454c46;
const ELF64_HEADER = 64;
const ELF32_HEADER = 52;

/** What is wrong with the file, seen from its ELF header (man elf); the section table is the last thing in it. */
function defectOf(file: string): string | undefined {
  const fd = openSync(file, 'r');
  try {
    const size = fstatSync(fd).size;
    const header = Buffer.alloc(ELF64_HEADER);
    const length = readSync(fd, header, 0, ELF64_HEADER, 0);
    if (length < ELF32_HEADER || header.readUInt32BE(0) !== ELF_MAGIC) return 'is no ELF file';
    const end = length < ELF64_HEADER ? Number.POSITIVE_INFINITY : endOfSections(header);
    if (end > size) return 'is cut short: build it anew';
    return undefined;
  } finally {
    closeSync(fd);
  }
}

function endOfSections(header: Buffer): number {
  const is64 = header[4] === 2;
  const isLittle = header[5] === 1;
  const view = new DataView(header.buffer, header.byteOffset, header.byteLength);
  const offset = is64 ? Number(view.getBigUint64(40, isLittle)) : view.getUint32(32, isLittle);
  const entry = view.getUint16(is64 ? 58 : 46, isLittle);
  const count = view.getUint16(is64 ? 60 : 48, isLittle);
  return offset + entry * count;
}
