/**
 * What is to be done about one prefix: a pure function of the route that is wanted and the rows that the kernel has.
 * A change takes several rounds, and each is planned from what the round before left: the new route is appended, and
 * only once it is known to stand is the old one deleted. No plan replaces a route, and none deletes another owner's,
 * save a `proto boot` route that says what ours says while ours stands.
 */
import { type Prefix, sameAddress } from '../ip/index.ts';
import {
  type KernelRoute,
  PROTOCOL_BOOT,
  type Route,
  type RouteOp,
  TABLE_MAIN,
  TYPE_UNICAST,
} from './types.ts';

/** Which routes are ours: those of this protocol in this table. */
export interface Owner {
  readonly protocol: number;
  readonly table: number;
}

export interface Plan {
  /** The wanted route as the kernel has it, with nobody before it. */
  readonly standing: KernelRoute | undefined;
  /** Somebody else's route that wins over the wanted one, or would. */
  readonly rival: KernelRoute | undefined;
  /** The next round, empty where nothing is to be done; either only additions or only deletions. */
  readonly ops: readonly RouteOp[];
  /** Whether the round deletes, or begins what ends with a deletion: then it needs both views complete. */
  readonly removes: boolean;
}

const NO_OPS: readonly RouteOp[] = [];
const NO_ROWS: readonly KernelRoute[] = [];

/** The metric as dumps give it back: the kernel stores IPv6's 0 as IP6_RT_PRIO_USER. The only place that knows. */
export function storedMetric(prefix: Prefix, metric: number): number {
  return prefix.address.family === 6 && metric === 0 ? 1024 : metric;
}

/** Whether a row of a dump is ours to change: our protocol and table, and a form that an exact delete can name. */
export function isOwn(row: KernelRoute, owner: Owner): boolean {
  return row.protocol === owner.protocol && row.table === owner.table && isPlain(row);
}

export function planFor(
  asked: Route | undefined,
  rows: readonly KernelRoute[],
  owner: Owner,
): Plan {
  // What nearly every prefix is like: nothing there, or just the wanted route.
  const [first] = rows;
  if (first === undefined)
    return asked === undefined ? deletion(NO_ROWS) : addition('add', asked, false);
  if (rows.length === 1 && asked !== undefined && isOwn(first, owner) && saysAll(asked, first))
    return { standing: first, rival: undefined, ops: NO_OPS, removes: false };
  const own = rows.filter((row) => isOwn(row, owner));
  if (asked === undefined) return deletion(own);
  const wish = beforeOthers(asked, rows, own);
  const standing = own.find((row) => saysAll(wish, row));
  const twins = rows.filter((row) => isBootTwin(wish, row, rows));
  const rival = rivalOf(wish, rows, standing, [...own, ...twins]);
  if (rival !== undefined) return { ...deletion(own), rival };
  const surplus = [...own.filter((row) => row !== standing), ...twins];
  if (standing !== undefined) return { ...deletion(surplus), standing };
  if (surplus.length === 0) return addition('add', wish, false);
  return replacement(wish, surplus, rows);
}

/**
 * The next round of putting `wish` in the place of `old`. IPv6 refuses a second route with the same nexthop and metric
 * whoever owns it, so there the same route stands at a spare metric while the old one goes.
 */
function replacement(wish: Route, old: readonly KernelRoute[], rows: readonly KernelRoute[]): Plan {
  const blocking = wish.prefix.address.family === 6 && old.find((row) => saysSame(wish, row));
  if (!blocking) return addition('append', wish, true);
  // A dump shows the true owner only of the first of several siblings.
  const spare = old.some(
    (row) =>
      row.protocol === wish.protocol &&
      row !== blocking &&
      sameNexthop(wish, row) &&
      rows.find(({ metric }) => metric === row.metric) === row,
  );
  if (spare) return deletion([blocking]);
  let metric = wish.metric + 1;
  while (rows.some((row) => row.metric === metric)) metric += 1;
  return addition('append', { ...wish, metric }, true);
}

function addition(kind: 'add' | 'append', route: Route, removes: boolean): Plan {
  return { standing: undefined, rival: undefined, ops: [{ kind, route }], removes };
}

function deletion(rows: readonly KernelRoute[]): Plan {
  const ops = rows.flatMap((row): RouteOp[] => {
    const route = routeOf(row);
    return route === undefined ? [] : [{ kind: 'delete', route }];
  });
  return { standing: undefined, rival: undefined, ops, removes: ops.length > 0 };
}

/**
 * The first foreign route that the kernel prefers to ours. At an equal metric IPv4 takes the one that stands first,
 * IPv6 makes siblings of them, whatever their order. Routes with a tos serve only packets that carry it.
 */
function rivalOf(
  wish: Route,
  rows: readonly KernelRoute[],
  standing: KernelRoute | undefined,
  friends: readonly KernelRoute[],
): KernelRoute | undefined {
  const place = standing === undefined ? rows.length : rows.indexOf(standing);
  return rows.find((row, index) => {
    if (row.tos !== 0 || row.table !== wish.table || friends.includes(row)) return false;
    if (row.metric !== wish.metric) return row.metric < wish.metric;
    return wish.prefix.address.family === 6 || index < place;
  });
}

/**
 * Somebody's route of a higher metric is a spare that ours stands before. A metric that spreads the kernel's work must not
 * put ours behind it: there the prefix keeps metric 0.
 */
function beforeOthers(
  wish: Route,
  rows: readonly KernelRoute[],
  own: readonly KernelRoute[],
): Route {
  if (wish.metric === 0 || wish.prefix.address.family === 6) return wish;
  const spare = rows.some(
    (row) => row.metric > 0 && row.metric <= wish.metric && row.tos === 0 && !own.includes(row),
  );
  return spare ? { ...wish, metric: 0 } : wish;
}

/** Whether `row` is what flannel wrote for the same lease: its IPv4 routes have metric 0, whatever ours have. */
function isBootTwin(wish: Route, row: KernelRoute, rows: readonly KernelRoute[]): boolean {
  if (row.protocol !== PROTOCOL_BOOT || wish.protocol === PROTOCOL_BOOT) return false;
  if (row.table !== TABLE_MAIN || wish.table !== TABLE_MAIN) return false;
  const flannels = row.metric === 0 && wish.prefix.address.family === 4;
  if (!isPlain(row) || !sameNexthop(wish, row)) return false;
  if (row.metric !== wish.metric && !flannels) return false;
  // A delete with metric 0 matches every metric in IPv4: with a second such route it might take the wrong one.
  const alike = rows.filter((r) => r.protocol === PROTOCOL_BOOT && sameNexthop(wish, r));
  return alike.length === 1;
}

/** Whether a `Route` says all there is of it. An IPv4 route may have an IPv6 gateway; no operation of ours has one. */
function isPlain(row: KernelRoute): boolean {
  if (row.type !== TYPE_UNICAST || row.tos !== 0 || row.device === 0 || row.more) return false;
  return row.gateway?.family === row.prefix.address.family;
}

/** Same gateway, device and metric: what decides where packets go. */
function saysSame(wish: Route, row: KernelRoute): boolean {
  return row.metric === wish.metric && sameNexthop(wish, row);
}

function saysAll(wish: Route, row: KernelRoute): boolean {
  return saysSame(wish, row) && sameAddress(wish.source, row.source);
}

function sameNexthop(wish: Route, row: KernelRoute): boolean {
  return row.device === wish.device && sameAddress(row.gateway, wish.gateway);
}

/** The row as an exact delete names it. */
function routeOf(row: KernelRoute): Route | undefined {
  if (row.gateway === undefined) return undefined;
  return {
    prefix: row.prefix,
    gateway: row.gateway,
    device: row.device,
    metric: row.metric,
    protocol: row.protocol,
    table: row.table,
    ...(row.source && { source: row.source }),
  };
}
