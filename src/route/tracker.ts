/**
 * The delta tracker: what is wanted and what the kernel has, side by side per prefix. Each change of either side brings
 * the plan of that prefix up to date, so pending work is known at once and never searched for.
 */
import type { Prefix } from '../ip/index.ts';
import { Inner } from './inner.ts';
import type { Peer } from './peer.ts';
import { isOwn, type Owner, type Plan, planFor } from './plan.ts';
import type { DesiredChange } from './reconcilerTypes.ts';
import {
  excludeEachOther,
  isRow,
  nexthopText,
  rowOf,
  sameRow,
  sameRows,
  sameWish,
} from './rows.ts';
import type { KernelRoute, Route, RouteOp } from './types.ts';

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
  /** What is remembered of it besides; kept here, and not in a map of its own, for the sake of speed (peers.ts). */
  peer: Peer | undefined;
  /** It waits to be looked at (peers.ts). */
  queued: boolean;
  /** The change that is being taken in, while it is (desired.ts). */
  asked: DesiredChange | undefined;
}

type Entry = { -readonly [K in keyof Tracked]: Tracked[K] } & {
  /** Rows that look like ours but that an exact delete did not find: somebody's, until a dump shows them gone. */
  disproved: Set<string> | undefined;
  /** Number of the last dump that showed it, and what that showed: one row as a rule. */
  dump: number;
  /** Where it came in that dump. */
  place: number;
  dumped: KernelRoute | KernelRoute[] | undefined;
};

const NO_ROWS: readonly KernelRoute[] = [];
const NO_PLAN: Plan = { standing: undefined, rival: undefined, ops: [], removes: false };
const PROTOCOL_UNKNOWN = 0;

export class Tracker {
  readonly #owner: Owner;
  readonly #entries = new Map<string, Entry>();
  readonly #inner = new Inner();
  readonly #onInner: (tracked: Tracked) => void;
  #pending = 0;
  #generation = 0;
  #dump = 0;
  /** The prefixes of the last dump. */
  #order: readonly Entry[] = [];
  /** The dump that every prefix's rows are still as of; undefined once one of them is known otherwise. */
  #shown: readonly KernelRoute[] | undefined;
  #wanted = 0;
  #own = 0;

  /** `onInner` is called for a prefix when foreign routes inside it have come or gone. */
  constructor(owner: Owner, onInner: (tracked: Tracked) => void = () => {}) {
    this.#owner = owner;
    this.#onInner = onInner;
  }

  /** How many prefixes there are whose views differ in something that we can do. */
  get pending(): number {
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

  get(prefix: Prefix): Tracked | undefined {
    return this.#entries.get(prefix.text);
  }

  /** Foreign routes of longer prefixes inside `prefix`, which take a part of its packets. */
  inside(prefix: Prefix): readonly KernelRoute[] {
    return this.#inner.of(prefix);
  }

  /** Every prefix that is wanted or has a row, or that was until it is let go. */
  all(): Iterable<Tracked> {
    return this.#entries.values();
  }

  /** Lets a prefix go that is neither wanted nor has a row. */
  drop(tracked: Tracked): void {
    if (isEmpty(entryOf(tracked))) this.#entries.delete(tracked.prefix.text);
  }

  /** The prefix in both views, as one that nobody wants if it is new. */
  of(prefix: Prefix): Tracked {
    return this.#entry(prefix);
  }

  /** Sets the desired side of one prefix; undefined: nobody wants it. */
  want(tracked: Tracked, wish: Route | undefined): void {
    const entry = entryOf(tracked);
    if (!sameWish(entry.wish, wish)) {
      this.#wanted += Number(wish !== undefined) - Number(entry.wish !== undefined);
      entry.wish = wish;
      if (wish !== undefined) this.#inner.wanted(entry.prefix);
      this.#generation += 1;
      entry.generation = this.#generation;
      // Of several siblings the wish helps to tell whose they are.
      if (entry.rows.length > 1) this.#shown = undefined;
    }
    this.#refresh(entry);
  }

  /** Replaces the kernel's side by a complete dump, in one step; returns the prefixes whose rows changed. */
  see(routes: readonly KernelRoute[]): Tracked[] {
    if (routes === this.#shown) return [];
    this.#shown = routes;
    this.#dump += 1;
    const order: Entry[] = [];
    let next = 0;
    for (const row of routes) {
      // One dump is in the order of the last. A driver that gives the same object again saves us the look-up.
      const guess = this.#order[next];
      const entry = guess?.rows[0] === row ? guess : this.#entry(row.prefix);
      if (this.#order[entry.place] === entry) next = entry.place + 1;
      if (entry.dump !== this.#dump) {
        entry.dump = this.#dump;
        entry.dumped = row;
        entry.place = order.length;
        order.push(entry);
      } else if (entry.dumped !== undefined) entry.dumped = this.#joined(entry.dumped, row);
    }
    this.#order = order;
    const changed: Tracked[] = [];
    for (const entry of this.#entries.values())
      if (this.#setRows(entry) || isEmpty(entry)) changed.push(entry);
    return changed;
  }

  /** Takes in that the kernel has carried out `op`. */
  done(tracked: Tracked, op: RouteOp): void {
    const entry = entryOf(tracked);
    this.#shown = undefined;
    if (op.kind === 'add' && entry.rows.length === 0) {
      entry.rows = [rowOf(op.route)];
      this.#refresh(entry);
      return;
    }
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
  absent(tracked: Tracked, op: RouteOp): void {
    if (op.route.prefix.address.family === 6) {
      const entry = entryOf(tracked);
      entry.disproved ??= new Set();
      entry.disproved.add(nexthopText(op.route));
    }
    this.done(tracked, op);
  }

  /**
   * What a dump shows of a prefix, with one more row. A dump torn by changes shows a route twice, and to delete the second
   * would be to delete the only one. Of two that cannot both be, somebody else's counts.
   */
  #joined(dumped: KernelRoute | KernelRoute[], row: KernelRoute): KernelRoute | KernelRoute[] {
    const rows = Array.isArray(dumped) ? dumped : [dumped];
    const twin = rows.findIndex((other) => excludeEachOther(other, row));
    if (twin === -1) rows.push(row);
    else if (!isOwn(row, this.#owner)) rows[twin] = row;
    const [first] = rows;
    return rows.length === 1 && first !== undefined ? first : rows;
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
        peer: undefined,
        queued: false,
        asked: undefined,
        disproved: undefined,
        dump: 0,
        place: -1,
        dumped: undefined,
      };
      this.#entries.set(prefix.text, entry);
    }
    return entry;
  }

  /** Takes what the dump showed of a prefix; returns whether that is other than what was known. */
  #setRows(entry: Entry): boolean {
    const { dumped, rows: before } = entry;
    entry.dumped = undefined;
    if (dumped === undefined || !Array.isArray(dumped)) {
      entry.disproved = undefined;
      const [first] = before;
      if (before.length < 2 && first === dumped) return false;
      if (before.length === 1 && first && dumped && sameRow(first, dumped)) {
        entry.rows = [dumped];
        // The plan names the row that stands: two objects for one row would be kept.
        this.#refresh(entry);
        return false;
      }
      entry.rows = dumped === undefined ? NO_ROWS : [dumped];
    } else {
      const rows = this.#attribute(entry, dumped);
      if (sameRows(before, rows)) return false;
      entry.rows = rows;
    }
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
    const { wish, rows } = entry;
    let count = 0;
    for (const row of rows) if (isOwn(row, this.#owner)) count += 1;
    this.#own += count - entry.own;
    entry.own = count;
    const stranger = wish === undefined ? rows.find((row) => !isOwn(row, this.#owner)) : undefined;
    for (const outer of this.#inner.set(entry.prefix, stranger)) {
      const around = this.#entries.get(outer);
      if (around !== undefined) this.#onInner(around);
    }
    const pending = entry.plan.ops.length > 0;
    entry.plan = planFor(wish, rows, this.#owner);
    this.#pending += Number(entry.plan.ops.length > 0) - Number(pending);
  }
}

/** Every one that is given out is one of ours. */
function entryOf(tracked: Tracked): Entry {
  return tracked as Entry;
}

function isEmpty({ wish, rows, disproved }: Entry): boolean {
  return wish === undefined && rows.length === 0 && disproved === undefined;
}
