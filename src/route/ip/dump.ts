/** Reads what `ip -N -j link show` and `ip -N -j route show` print. Strict: what it does not understand, it throws. */
import {
  type Address,
  type Family,
  type Prefix,
  parseAddress,
  parseInterfaceAddress,
  prefixOf,
  v4,
  v6,
} from '../../ip/index.ts';
import { type KernelRoute, PROTOCOL_BOOT, RouteDriverError, TYPE_UNICAST } from '../types.ts';
import { distinctKeys, hasMore, hopHasMore } from './extras.ts';

/** Interface indexes by name. */
export type Links = ReadonlyMap<string, number>;

/** What `ip` prints of a link, a route, a next hop or a neighbour, as far as it is read. */
export interface Row {
  readonly ifname?: unknown;
  readonly ifindex?: unknown;
  readonly dst?: unknown;
  readonly gateway?: unknown;
  readonly via?: unknown;
  readonly host?: unknown;
  readonly dev?: unknown;
  readonly metric?: unknown;
  readonly protocol?: unknown;
  readonly table?: unknown;
  readonly type?: unknown;
  readonly tos?: unknown;
  readonly prefsrc?: unknown;
  readonly flags?: unknown;
  readonly nexthops?: unknown;
  readonly scope?: unknown;
  readonly pref?: unknown;
  readonly weight?: unknown;
  readonly nhid?: unknown;
  readonly encap?: unknown;
  readonly 'tos (2)'?: unknown;
  readonly state?: unknown;
  readonly extern_learn?: unknown;
  readonly managed?: unknown;
}

export function parseLinks(json: string): Links {
  return new Map(rowsOf(json).map((row) => [text(row, 'ifname'), number(row, 'ifindex', 0)]));
}

/** Whether every name stands for the same index in both. */
export function sameLinks(a: Links, b: Links): boolean {
  return a.size === b.size && [...a].every(([name, index]) => b.get(name) === index);
}

/** What was read last, by destination: rows that say the same again give the same object, and cost next to nothing. */
export interface Memory {
  rows: ReadonlyMap<string, { readonly row: Row; readonly route: KernelRoute }>;
}

/** The routes of `family` in the order printed; rows of another family are left out. */
export function parseRoutes(
  json: string,
  family: Family,
  table: number,
  links: Links,
  memory: Memory = { rows: new Map() },
): KernelRoute[] {
  const routes: KernelRoute[] = [];
  const before = memory.rows;
  const known = new Map<string, { readonly row: Row; readonly route: KernelRoute }>();
  memory.rows = known;
  for (const row of rowsOf(json)) {
    const dst = text(row, 'dst');
    const old = before.get(dst);
    if (old !== undefined && saysSame(old.row, row) && isUpToDate(old.route, row, table, links)) {
      known.set(dst, old);
      routes.push(old.route);
      continue;
    }
    const prefix = prefixOfRow(row, family);
    // Where the kernel has no IPv6, a dump of it answers with the routes of all other families.
    if (prefix.address.family !== family) continue;
    const base = baseOf(row, prefix, table);
    const nexthops = row.nexthops;
    if (nexthops === undefined) {
      const route = { ...base, ...nexthopOf(row, links) };
      known.set(dst, { row, route });
      routes.push(route);
      continue;
    }
    const hops = arrayOf(nexthops).map((hop, index) => ({
      ...nexthopOf(hop, links),
      // Metrics and the like are those of the first sibling; a nexthop object is of all.
      more: hopHasMore(hop) || row.nhid !== undefined || (index === 0 && base.more),
    }));
    // IPv6 keeps siblings as routes of their own and can delete each; IPv4 keeps one route of several next hops.
    if (family === 6) routes.push(...hops.map((hop) => ({ ...base, ...hop })));
    else
      routes.push({
        ...base,
        gateway: undefined,
        device: 0,
        linkDown: hops.every((hop) => hop.linkDown),
      });
  }
  return routes;
}

/** Whether two rows without next hops and other families' gateways say the same, save for flags. */
function saysSame(a: Row, b: Row): boolean {
  return (
    a.gateway === b.gateway &&
    a.dev === b.dev &&
    a.metric === b.metric &&
    a.protocol === b.protocol &&
    a.table === b.table &&
    a.type === b.type &&
    a.tos === b.tos &&
    a.prefsrc === b.prefsrc &&
    a.encap === b.encap &&
    a['tos (2)'] === b['tos (2)'] &&
    a.via === undefined &&
    b.via === undefined &&
    b.nexthops === undefined
  );
}

/** Whether what is not in the row's own words is as it was: the device's index, the table asked for, the flags. */
function isUpToDate(route: KernelRoute, row: Row, table: number, links: Links): boolean {
  const device = row.dev === undefined ? 0 : deviceOf(text(row, 'dev'), links);
  if (route.device !== device || route.linkDown !== isLinkDown(row) || route.more !== hasMore(row))
    return false;
  return row.table !== undefined || route.table === table;
}

function isLinkDown({ flags }: Row): boolean {
  return Array.isArray(flags) && flags.includes('linkdown');
}

function baseOf(row: Row, prefix: Prefix, table: number) {
  const source = row.prefsrc === undefined ? undefined : address(row, 'prefsrc');
  return {
    prefix,
    metric: number(row, 'metric', prefix.address.family === 6 ? 1024 : 0),
    protocol: number(row, 'protocol', PROTOCOL_BOOT),
    // `encap seg6local` prints a table of its own; that of the route is the one asked for.
    table: row.encap === undefined ? number(row, 'table', table) : table,
    type: number(row, 'type', TYPE_UNICAST),
    tos: number(row, row.encap === 'ip' ? 'tos (2)' : 'tos', 0),
    source,
    more: hasMore(row),
  };
}

function nexthopOf(row: Row, links: Links): Pick<KernelRoute, 'gateway' | 'device' | 'linkDown'> {
  const via = row.via;
  let gateway: Address | undefined;
  if (row.gateway !== undefined) gateway = address(row, 'gateway');
  else if (via !== undefined) gateway = address(rowOf(via), 'host');
  return {
    gateway,
    device: row.dev === undefined ? 0 : deviceOf(text(row, 'dev'), links),
    linkDown: isLinkDown(row),
  };
}

export function deviceOf(name: string, links: Links): number {
  const index = links.get(name) ?? Number(/^if(\d+)$/.exec(name)?.[1] ?? Number.NaN);
  if (Number.isNaN(index)) throw misread(`device ${name} is not among the links`);
  return index;
}

function prefixOfRow(row: Row, family: Family): Prefix {
  const dst = text(row, 'dst');
  if (dst === 'default') return DEFAULT[family];
  if (dst.includes('/')) {
    const parsed = parseInterfaceAddress(dst);
    if (parsed !== undefined) return parsed.prefix;
  } else {
    const host = parseAddress(dst);
    if (host !== undefined) return prefixOf(host, host.family === 4 ? 32 : 128);
  }
  throw misread(`destination ${dst}`);
}

const DEFAULT: Readonly<Record<Family, Prefix>> = {
  4: prefixOf(v4(0), 0),
  6: prefixOf(v6(0n), 0),
};

export function rowsOf(json: string): Row[] {
  // iproute2 before 5.0 prints nothing at all where there is nothing to show.
  if (json.trim() === '') return [];
  try {
    // An empty object stands for a link that is filtered out.
    return arrayOf(JSON.parse(distinctKeys(json))).filter(isFilled);
  } catch (error) {
    if (error instanceof SyntaxError) throw misread(error.message);
    throw error;
  }
}

function arrayOf(value: unknown): Row[] {
  if (!Array.isArray(value)) throw misread('no array');
  return value.map(rowOf);
}

function rowOf(value: unknown): Row {
  if (typeof value !== 'object' || value === null) throw misread('a row that is no object');
  return value;
}

function isFilled(row: Row): boolean {
  for (const _ in row) return true;
  return false;
}

export function text(row: Row, name: keyof Row): string {
  const value = row[name];
  if (typeof value !== 'string') throw misread(`${name} ${String(value)}`);
  return value;
}

/** Numbers come as numbers, as strings with -N, and the type of service in hex. */
export function number(row: Row, name: keyof Row, absent: number): number {
  const value = row[name];
  if (value === undefined) return absent;
  const parsed = value === '' ? Number.NaN : Number(value);
  if (!Number.isInteger(parsed)) throw misread(`${name} ${String(value)}`);
  return parsed;
}

export function address(row: Row, name: keyof Row): Address {
  const parsed = parseAddress(text(row, name));
  if (parsed === undefined) throw misread(`${name} ${String(row[name])}`);
  return parsed;
}

export function misread(what: string): RouteDriverError {
  return new RouteDriverError(`ip printed what this driver cannot read: ${what}`);
}
