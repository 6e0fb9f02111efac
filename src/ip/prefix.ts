/**
 * IP prefixes as values: parse, print, contain, overlap, step. No I/O.
 * Two prefixes are equal exactly if their `text` is equal.
 */
import { type Address, bitsOf, type Family, parseAddress, sameAddress, v4, v6 } from './address.ts';

/** A prefix without host bits, and its canonical text `address/length`. */
export interface Prefix {
  readonly address: Address;
  readonly length: number;
  readonly text: string;
}

/** Its text is made when it is first asked for, and then kept: it is what prefixes are found by. */
class Masked {
  readonly address: Address;
  readonly length: number;
  #text: string | undefined;

  constructor(address: Address, length: number) {
    this.address = address;
    this.length = length;
  }

  get text(): string {
    this.#text ??= `${this.address.text}/${this.length}`;
    return this.#text;
  }
}

const LENGTH = /^(0|[1-9]\d{0,2})$/;

/** The prefix of `length` bits that contains `address`. Throws RangeError for a length outside the family's bits. */
export function prefixOf(address: Address, length: number): Prefix {
  if (!Number.isInteger(length) || length < 0 || length > bitsOf(address.family)) {
    throw new RangeError(
      `prefix length ${length} of ${address.text} is not within 0 to ${bitsOf(address.family)}`,
    );
  }
  return new Masked(masked(address, length), length);
}

function masked(address: Address, length: number): Address {
  if (address.family === 4) {
    // A shift by 32 is a shift by 0 in JavaScript, so length 0 needs its own case.
    const base = length === 0 ? 0 : (address.value & (-1 << (32 - length))) >>> 0;
    return base === address.value ? address : v4(base);
  }
  const host = BigInt(128 - length);
  const base = (address.value >> host) << host;
  return base === address.value ? address : v6(base);
}

/** Reads `address/length`, host bits allowed; undefined for anything else. */
export function parseInterfaceAddress(
  text: string,
): { address: Address; prefix: Prefix } | undefined {
  const slash = text.indexOf('/');
  if (slash === -1) return undefined;
  const address = parseAddress(text.slice(0, slash));
  const bits = text.slice(slash + 1);
  if (address === undefined || !LENGTH.test(bits) || Number(bits) > bitsOf(address.family))
    return undefined;
  return { address, prefix: prefixOf(address, Number(bits)) };
}

/** Reads `address/length`; undefined for anything else, also where host bits are set. */
export function parsePrefix(text: string): Prefix | undefined {
  const parsed = parseInterfaceAddress(text);
  return sameAddress(parsed?.address, parsed?.prefix.address) ? parsed?.prefix : undefined;
}

/** Whether `prefix` holds `address`; false across families. */
export function containsAddress(prefix: Prefix, address: Address): boolean {
  const base = prefix.address;
  if (base.family === 4) {
    if (address.family !== 4) return false;
    return prefix.length === 0 || (base.value ^ address.value) >>> (32 - prefix.length) === 0;
  }
  return address.family === 6 && (base.value ^ address.value) >> BigInt(128 - prefix.length) === 0n;
}

/** Whether every address of `inner` is in `outer`; equal prefixes contain each other. */
export function containsPrefix(outer: Prefix, inner: Prefix): boolean {
  return inner.length >= outer.length && containsAddress(outer, inner.address);
}

/** Whether the two share an address: prefixes overlap exactly if one contains the other. */
export function overlaps(a: Prefix, b: Prefix): boolean {
  return a.length <= b.length ? containsPrefix(a, b) : containsPrefix(b, a);
}

/** The address `offset` after the first one of `prefix`; it may lie behind the prefix's end. */
export function addressAt(prefix: Prefix, offset: bigint | number): Address {
  const { address } = prefix;
  if (address.family === 4) return v4(address.value + Number(offset));
  return v6(address.value + BigInt(offset));
}

/** The last address of `prefix`: in IPv4 its broadcast address. */
export function lastAddress(prefix: Prefix): Address {
  const { address, length } = prefix;
  if (address.family === 4) return v4(address.value + 2 ** (32 - length) - 1);
  return addressAt(prefix, sizeOf(prefix) - 1n);
}

/** How many addresses `prefix` holds. */
export function sizeOf(prefix: Prefix): bigint {
  return 1n << BigInt(bitsOf(prefix.address.family) - prefix.length);
}

/** The family of a prefix. */
export const familyOf = (prefix: Prefix): Family => prefix.address.family;
