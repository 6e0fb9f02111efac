/**
 * Which subnets a host may try, one after the other: its previous one first, then every free one exactly once,
 * in an order of its own, so that hosts which start together do not run after each other. What another host may
 * still count on, because it held it once, comes last.
 */
import type { NetworkConfig, SubnetRange } from '../config/index.ts';
import {
  type Address,
  addressAt,
  bitsOf,
  lastAddress,
  overlaps,
  type Prefix,
  prefixOf,
} from '../ip/index.ts';
import type { Subnets } from './codec.ts';

export interface CandidateRequest {
  readonly config: NetworkConfig;
  /** Prefixes of any length and family that nobody else may overlap. */
  readonly taken: readonly Prefix[];
  /** Free, but held once: tried when nothing else is free. */
  readonly departed?: readonly Prefix[];
  /** Tried first, if it fits and is free. */
  readonly previous: Subnets | undefined;
  /** The host's identity; equal seeds try in the same order. */
  readonly seed: string;
}

// Indices stay exact in a double, also doubled. More subnets than this only an IPv6 network has.
const SUBNETS_MAX = 2 ** 32;

/**
 * The candidates, in order. No step's work grows with the number of subnets: only with that of `taken`,
 * once, and with its logarithm afterwards.
 * In dual-stack the n-th IPv4 subnet goes with the n-th IPv6 subnet: so two hosts that want the same subnet of
 * one family also want the same key, and etcd lets one of them win. More than 2^32 subnets are not looked at.
 */
export function* candidates(request: CandidateRequest): Generator<Subnets, undefined> {
  const { config, taken, departed = [], previous, seed } = request;
  const ranges = [config.v4, config.v6].filter((range) => range !== undefined);
  if (ranges.length === 0) return undefined;
  const first = isUsable(previous, config, taken) ? previous : undefined;
  if (first !== undefined) yield first;

  const count = Math.min(...ranges.map(countOf));
  const closed = taken.flatMap((prefix) => covered(prefix, ranges));
  const fresh = freeRuns(count, [
    ...closed,
    ...departed.flatMap((prefix) => covered(prefix, ranges)),
  ]);
  const pairAt = (index: number): Subnets => ({
    subnet: config.v4 && subnetAt(config.v4, index),
    subnet6: config.v6 && subnetAt(config.v6, index),
  });
  for (const index of shuffled(fresh, seed))
    if (!samePair(pairAt(index), first)) yield pairAt(index);
  if (departed.length === 0) return undefined;
  const offered = fresh.map(({ start, length }) => ({ from: start, to: start + length - 1 }));
  for (const index of shuffled(freeRuns(count, [...closed, ...offered]), seed))
    if (!samePair(pairAt(index), first)) yield pairAt(index);
  return undefined;
}

/** Each index of the runs once, in the order of the seed. */
function* shuffled(runs: readonly Run[], seed: string): Generator<number, undefined> {
  const count = runs.reduce((sum, run) => sum + run.length, 0);
  if (count === 0) return undefined;
  const stride = coprimeStride(hash(`stride ${seed}`), count);
  let at = hash(`start ${seed}`) % count;
  for (let step = 0; step < count; step++) {
    yield nth(runs, at);
    at = (at + stride) % count;
  }
  return undefined;
}

/** Whether exactly the config's families are there, of its length and between its first and last subnet. */
export function fits(config: NetworkConfig, { subnet, subnet6 }: Subnets): boolean {
  return fitsRange(config.v4, subnet) && fitsRange(config.v6, subnet6);
}

function fitsRange(range: SubnetRange | undefined, prefix: Prefix | undefined): boolean {
  if (range === undefined || prefix === undefined)
    return range === undefined && prefix === undefined;
  const { value } = prefix.address;
  return (
    prefix.address.family === range.min.family &&
    prefix.length === range.subnetLength &&
    value >= range.min.value &&
    value <= range.max.value
  );
}

function isUsable(
  previous: Subnets | undefined,
  config: NetworkConfig,
  taken: readonly Prefix[],
): previous is Subnets {
  if (previous === undefined || !fits(config, previous)) return false;
  const mine = [previous.subnet, previous.subnet6].filter((prefix) => prefix !== undefined);
  return !taken.some((prefix) => mine.some((own) => overlaps(own, prefix)));
}

const samePair = (a: Subnets, b: Subnets | undefined): boolean =>
  a.subnet?.text === b?.subnet?.text && a.subnet6?.text === b?.subnet6?.text;

/** The subnet of the other family that goes with one: the n-th with the n-th, where there are so many. */
export function partnerOf({ v4, v6 }: NetworkConfig, { subnet, subnet6 }: Subnets): Subnets {
  const none: Subnets = { subnet: undefined, subnet6: undefined };
  if (v4 === undefined || v6 === undefined) return none;
  if (subnet !== undefined) {
    const index = indexOf(v4, subnet.address);
    return index < countOf(v6) ? { ...none, subnet6: subnetAt(v6, index) } : none;
  }
  const index = subnet6 === undefined ? SUBNETS_MAX : indexOf(v6, subnet6.address);
  return index < countOf(v4) ? { ...none, subnet: subnetAt(v4, index) } : none;
}

/** Steps of one subnet from the range's first one to `address`, fractions cut. */
function indexOf(range: SubnetRange, address: Address): number {
  const shift = BigInt(bitsOf(address.family) - range.subnetLength);
  return Number((BigInt(address.value) - BigInt(range.min.value)) >> shift);
}

const countOf = (range: SubnetRange): number =>
  Math.min(SUBNETS_MAX, Math.max(0, indexOf(range, range.max) + 1));

function subnetAt(range: SubnetRange, index: number): Prefix {
  const bits = BigInt(bitsOf(range.min.family) - range.subnetLength);
  const min = prefixOf(range.min, range.subnetLength);
  return prefixOf(addressAt(min, BigInt(index) << bits), range.subnetLength);
}

/** A run of free subnets: `length` of them from index `start`, with `before` free ones in earlier runs. */
interface Run {
  readonly start: number;
  readonly length: number;
  readonly before: number;
}

/** Indices that are not free, both ends in. */
interface Closed {
  readonly from: number;
  readonly to: number;
}

/** What a prefix covers of the range of its family. */
function covered(prefix: Prefix, ranges: readonly SubnetRange[]): Closed[] {
  const range = ranges.find(({ min }) => min.family === prefix.address.family);
  if (range === undefined) return [];
  return [{ from: indexOf(range, prefix.address), to: indexOf(range, lastAddress(prefix)) }];
}

function freeRuns(count: number, closed: readonly Closed[]): Run[] {
  const runs: Run[] = [];
  let start = 0;
  let before = 0;
  const close = (end: number): void => {
    if (end <= start) return;
    runs.push({ start, length: end - start, before });
    before += end - start;
  };
  for (const { from, to } of [...closed].sort((a, b) => a.from - b.from)) {
    close(Math.min(from, count));
    start = Math.max(start, to + 1);
  }
  close(count);
  return runs;
}

/** The index of the n-th free subnet, by binary search. */
function nth(runs: readonly Run[], n: number): number {
  let low = 0;
  let high = runs.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((runs[middle]?.before ?? 0) <= n) low = middle;
    else high = middle - 1;
  }
  const run = runs[low];
  return run === undefined ? 0 : run.start + (n - run.before);
}

/** A step from which every index below `count` is met exactly once. */
function coprimeStride(wish: number, count: number): number {
  let stride = count === 1 ? 1 : 1 + (wish % (count - 1));
  while (gcd(stride, count) !== 1) stride = (stride % count) + 1;
  return stride;
}

function gcd(a: number, b: number): number {
  let [x, y] = [a, b];
  while (y !== 0) [x, y] = [y, x % y];
  return x;
}

/** FNV-1a with murmur3's finish: names that differ in one digit give numbers far apart. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (const byte of Buffer.from(text)) value = Math.imul(value ^ byte, 0x01000193);
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return (value ^ (value >>> 16)) >>> 0;
}
