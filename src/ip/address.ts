/**
 * IP addresses as values: parse, print, classify. No I/O.
 * Two addresses are equal exactly if their `value` is equal, and so if their `text` is.
 */
import { isIPv4, isIPv6 } from 'node:net';

export type Family = 4 | 6;

/**
 * An address with its canonical text (IPv6 as RFC 5952 writes it). The text is made each time that it is asked for:
 * thousands of addresses are kept, and few are shown. As a key the value does, in which the families never meet.
 */
export type Address =
  | { readonly family: 4; readonly value: number; readonly text: string }
  | { readonly family: 6; readonly value: bigint; readonly text: string };

class V4 {
  readonly family = 4;
  readonly value: number;

  constructor(value: number) {
    this.value = value;
  }

  get text(): string {
    return formatV4(this.value);
  }
}

class V6 {
  readonly family = 6;
  readonly value: bigint;

  constructor(value: bigint) {
    this.value = value;
  }

  get text(): string {
    return formatV6(this.value);
  }
}

/** The bits of an address of `family`. */
export const bitsOf = (family: Family): 32 | 128 => (family === 4 ? 32 : 128);

/** The IPv4 address of an unsigned 32-bit number. */
export function v4(value: number): Address {
  return new V4(value >>> 0);
}

/** The IPv6 address of an unsigned 128-bit number. */
export function v6(value: bigint): Address {
  return new V6(value);
}

/** Whether both are the same address, or both undefined. A number equals no bigint, so the families need no look. */
export function sameAddress(a: Address | undefined, b: Address | undefined): boolean {
  return a?.value === b?.value;
}

/** Reads an address in its usual text forms; undefined for anything else, zones (`%eth0`) included. */
export function parseAddress(text: string): Address | undefined {
  if (isIPv4(text)) return v4(parseV4(text));
  if (isIPv6(text) && !text.includes('%')) return v6(parseV6(text));
  return undefined;
}

const DOT = 46;
const ZERO = 48;

/** The number of a text that is known to be four numbers and three dots. */
function parseV4(text: string): number {
  let value = 0;
  let part = 0;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === DOT) {
      value = value * 256 + part;
      part = 0;
    } else part = part * 10 + code - ZERO;
  }
  return value * 256 + part;
}

function parseV6(text: string): bigint {
  let rest = text;
  const dot = rest.indexOf('.');
  if (dot !== -1) {
    // The dotted tail of ::ffff:1.2.3.4 is two groups.
    const start = rest.lastIndexOf(':') + 1;
    const tail = parseV4(rest.slice(start));
    rest = `${rest.slice(0, start)}${(tail >>> 16).toString(16)}:${(tail & 0xffff).toString(16)}`;
  }
  const [head = '', tail] = rest.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = new Array<string>(8 - left.length - right.length).fill('0');
  return [...left, ...(tail === undefined ? [] : zeros), ...right].reduce(
    (value, group) => (value << 16n) | BigInt(Number.parseInt(group, 16)),
    0n,
  );
}

function formatV4(value: number): string {
  return `${value >>> 24}.${(value >>> 16) & 255}.${(value >>> 8) & 255}.${value & 255}`;
}

function formatV6(value: bigint): string {
  if (value >> 32n === 0xffffn) return `::ffff:${formatV4(Number(value & 0xffffffffn))}`;
  const groups: number[] = [];
  for (let shift = 112n; shift >= 0n; shift -= 16n) groups.push(Number((value >> shift) & 0xffffn));
  const zeros = longestZeroRun(groups);
  const hex = (part: number[]): string => part.map((group) => group.toString(16)).join(':');
  if (zeros.length < 2) return hex(groups);
  return `${hex(groups.slice(0, zeros.start))}::${hex(groups.slice(zeros.start + zeros.length))}`;
}

function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  let start = 0;
  groups.forEach((group, index) => {
    if (group !== 0) start = index + 1;
    else if (index + 1 - start > best.length) best = { start, length: index + 1 - start };
  });
  return best;
}

/**
 * Whether a host can be addressed by it: not unspecified, loopback, multicast, broadcast or
 * IPv4's reserved class E (RFC 1122, RFC 4291). Link-local addresses are unicast.
 */
export function isUnicast(address: Address): boolean {
  if (address.family === 4) {
    const first = address.value >>> 24;
    return first !== 0 && first !== 127 && first < 224;
  }
  const mapped = address.value >> 32n === 0xffffn;
  return address.value > 1n && address.value >> 120n !== 0xffn && !mapped;
}
