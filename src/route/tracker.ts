/**
 * The delta tracker: what is wanted and what the kernel has, side by side per prefix. Each change of either side brings
 * the plan of that prefix up to date, so pending work is known at once and never searched for.
 */
import type { Prefix } from '../ip/index.ts';
import { Inner } from './inner.ts';
import { isOwn, type Owner, type Plan, planFor } from './plan.ts';
import { type KernelRoute, type Route, type RouteOp, TYPE_UNICAST } from './types.ts';

/** One prefix in both views. */
export interface Tracked {
  readonly prefix: Prefix;
  readonly wish: Route | undefined;
  /** Grows with each change of the wish; an outcome counts only for the generation it was asked for. */
  readonly generation: number;
  /** The kernel's rows in the kernel's order, of every owner. */
  readonly rows: readonly KernelRoute[];
  /** How many of the rows are ours. */
  readonly own: number;
  readonly plan: Plan;
}

type Entry = { -readonly [K in keyof Tracked]: Tracked[K] } & {
  /** Rows that look like ours but that an exact delete did not find: somebody's, until a dump shows them gone. */
  disproved: Set<string> | undefined;
};

const NO_ROWS: readonly KernelRoute[] = [];
const NO_PLAN: Plan = { standing: undefined, rival: undefined, ops: [], removes: false };
const PROTOCOL_UNKNOWN = 0;

export class Tracker {
  readonly #owner: Owner;
  readonly #entries = new Map<string, Entry>();
  readonly #pending = new Set<string>();
  readonly #inner = new Inner();
  readonly #onInner: (key: string) => void;
  #generation = 0;
  #wanted = 0;
  #own = 0;

  /** `onInner` is called for a prefix when foreign routes inside it have come or gone. */
  constructor(owner: Owner, onInner: (key: string) => void = () => {}) {
    this.#owner = owner;
    this.#onInner = onInner;
  }

  /** The prefixes whose views differ in something that we can do. */
  get pending(): ReadonlySet<string> {
    return this.#pending;
  }

  /** How many prefixes are wanted. */
  get wanted(): number {
    return this.#wanted;
  }

  /** How many routes of ours the kernel has. */
  get own(): number {
    return this.#own;
  }

  get(key: string): Tracked | undefined {
    return this.#entries.get(key);
  }

  /** Foreign routes of longer prefixes inside `prefix`, which take a part of its packets. */
  inside(prefix: Prefix): readonly KernelRoute[] {
    return this.#inner.of(prefix);
  }

  /** Every prefix that is wanted or has a row. */
  all(): Iterable<readonly [string, Tracked]> {
    return this.#entries.entries();
  }

  /** Sets the desired side of one prefix; undefined: nobody wants it. Returns whether anything changed. */
  want(prefix: Prefix, wish: Route | undefined): boolean {
    const entry = this.#entry(prefix);
    if (sameWish(entry.wish, wish)) {
      this.#refresh(entry);
      return false;
    }
    this.#wanted += Number(wish !== undefined) - Number(entry.wish !== undefined);
    entry.wish = wish;
    if (wish !== undefined) this.#inner.wanted(prefix);
    this.#generation += 1;
    entry.generation = this.#generation;
    this.#refresh(entry);
    return true;
  }

  /** Replaces the kernel's side by a complete dump, in one step; returns the prefixes whose rows changed. */
  see(routes: readonly KernelRoute[]): string[] {
    const seen = new Map<string, KernelRoute[]>();
    for (const row of routes) {
      const rows = seen.get(row.prefix.text);
      if (rows === undefined) seen.set(row.prefix.text, [row]);
      else rows.push(row);
    }
    const changed: string[] = [];
    for (const [key, rows] of seen) {
      const [first] = rows;
      if (first !== undefined && this.#setRows(this.#entry(first.prefix), rows)) changed.push(key);
    }
    for (const [key, entry] of this.#entries) {
      if (seen.has(key)) continue;
      entry.disproved = undefined;
      if (this.#setRows(entry, NO_ROWS)) changed.push(key);
      else if (entry.wish === undefined) this.#refresh(entry);
    }
    return changed;
  }

  /** Takes in that the kernel has carried out `op`. */
  done(op: RouteOp): void {
    const entry = this.#entry(op.route.prefix);
    const rows = [...entry.rows];
    if (op.kind === 'delete') {
      const index = rows.findIndex((row) => isRow(op.route, row));
      if (index !== -1) rows.splice(index, 1);
    } else {
      const after = rows.findLastIndex((row) => row.tos > 0 || row.metric <= op.route.metric);
      rows.splice(after + 1, 0, rowOf(op.route));
    }
    entry.rows = rows;
    this.#refresh(entry);
  }

  /**
   * Takes in that an exact delete found nothing: the row is gone, or was never ours. A dump of IPv6 siblings shows all
   * of them with the protocol of the first, so only this tells whose a sibling is.
   */
  absent(op: RouteOp): void {
    if (op.route.prefix.address.family === 6) {
      const entry = this.#entry(op.route.prefix);
      entry.disproved ??= new Set();
      entry.disproved.add(nexthopText(op.route));
    }
    this.done(op);
  }

  #entry(prefix: Prefix): Entry {
    let entry = this.#entries.get(prefix.text);
    if (entry === undefined) {
      entry = {
        prefix,
        wish: undefined,
        generation: this.#generation,
        rows: NO_ROWS,
        own: 0,
        plan: NO_PLAN,
        disproved: undefined,
      };
      this.#entries.set(prefix.text, entry);
    }
    return entry;
  }

  #setRows(entry: Entry, dumped: readonly KernelRoute[]): boolean {
    const rows = this.#attribute(entry, dumped);
    if (sameRows(entry.rows, rows)) return false;
    entry.rows = rows;
    this.#refresh(entry);
    return true;
  }

  /**
   * Corrects the protocol of IPv6 siblings, of which a dump shows only the first one's: ours may stand behind a rival,
   * a rival's behind ours.
   */
  #attribute(entry: Entry, dumped: readonly KernelRoute[]): readonly KernelRoute[] {
    if (entry.prefix.address.family === 4) return dumped;
    const { wish, rows: before } = entry;
    const behind = (row: KernelRoute, index: number): boolean =>
      index > 0 && dumped[index - 1]?.metric === row.metric;
    const hidden = new Set(dumped.filter(behind).map(nexthopText));
    const disproved = new Set([...(entry.disproved ?? [])].filter((text) => hidden.has(text)));
    entry.disproved = disproved.size > 0 ? disproved : undefined;
    return dumped.map((row, index) => {
      if (!behind(row, index)) return row;
      const text = nexthopText(row);
      const isOurs = row.protocol === this.#owner.protocol;
      if (disproved.has(text)) return isOurs ? { ...row, protocol: PROTOCOL_UNKNOWN } : row;
      const known =
        (wish !== undefined && nexthopText(wish) === text) ||
        before.some((old) => isOwn(old, this.#owner) && nexthopText(old) === text);
      return known && !isOurs ? { ...row, protocol: this.#owner.protocol } : row;
    });
  }

  #refresh(entry: Entry): void {
    const key = entry.prefix.text;
    const own = entry.rows.reduce((n, row) => n + Number(isOwn(row, this.#owner)), 0);
    this.#own += own - entry.own;
    entry.own = own;
    const { wish, rows } = entry;
    const stranger = wish === undefined ? rows.find((row) => !isOwn(row, this.#owner)) : undefined;
    for (const outer of this.#inner.set(entry.prefix, stranger)) this.#onInner(outer);
    if (entry.wish === undefined && entry.rows.length === 0 && entry.disproved === undefined) {
      this.#entries.delete(key);
      this.#pending.delete(key);
      return;
    }
    entry.plan = planFor(entry.wish, entry.rows, this.#owner);
    if (entry.plan.ops.length > 0) this.#pending.add(key);
    else this.#pending.delete(key);
  }
}

function sameWish(a: Route | undefined, b: Route | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return nexthopText(a) === nexthopText(b) && a.source?.text === b.source?.text;
}

function nexthopText(route: Route | KernelRoute): string {
  return `${route.gateway?.text} ${route.device} ${route.metric}`;
}

function sameRows(a: readonly KernelRoute[], b: readonly KernelRoute[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i += 1) {
    const [x, y] = [a[i], b[i]];
    if (x === undefined || y === undefined || !sameRow(x, y)) return false;
  }
  return true;
}

function sameRow(a: KernelRoute, b: KernelRoute): boolean {
  return (
    a.gateway?.text === b.gateway?.text &&
    a.device === b.device &&
    a.metric === b.metric &&
    a.protocol === b.protocol &&
    a.table === b.table &&
    a.type === b.type &&
    a.tos === b.tos &&
    a.source?.text === b.source?.text &&
    a.linkDown === b.linkDown
  );
}

/** Whether `row` is the one that an exact delete of `route` names. */
function isRow(route: Route, row: KernelRoute): boolean {
  return sameRow({ ...rowOf(route), linkDown: row.linkDown }, row);
}

function rowOf(route: Route): KernelRoute {
  const { prefix, gateway, device, metric, protocol, table, source } = route;
  return {
    prefix,
    gateway,
    device,
    metric,
    protocol,
    table,
    source,
    type: TYPE_UNICAST,
    tos: 0,
    linkDown: false,
  };
}
