/**
 * The reconciler's side of the driver: one dump or one batch in flight, numbered, so that a late answer counts for
 * nothing; when the next dump may begin; how much a batch may hold.
 */
import { backoffMs, type Random } from '../core/index.ts';
import { DumpPace } from './pace.ts';
import type { Tracked } from './tracker.ts';
import type { RouteOp } from './types.ts';

const RETRY = { firstMs: 500, maxMs: 30_000 };
/** Prefixes in one batch. */
const BATCH_MAX = 16_384;
/** A batch refused whole is halved until the prefix is found that spoils it: 2^14 is BATCH_MAX. */
const HALVINGS_MAX = 14;

export interface DumpFlight {
  readonly kind: 'dump';
  readonly attempt: number;
  /** Asked for after links or addresses changed. */
  readonly afterLinks: boolean;
}

export interface BatchFlight {
  readonly kind: 'batch';
  readonly attempt: number;
  readonly ops: readonly RouteOp[];
  /** The prefix of each operation; those of one follow each other, for no plan both adds and deletes. */
  readonly owners: readonly Tracked[];
  /** Each prefix once. */
  readonly prefixes: readonly Tracked[];
}

/** A batch in the making. Additions come before deletions. */
export class Batch {
  readonly prefixes: Tracked[] = [];
  readonly #additions: Ordered = { ops: [], owners: [] };
  readonly #deletions: Ordered = { ops: [], owners: [] };

  /** Takes a prefix, once, with what is to be done about it. */
  add(tracked: Tracked, ops: readonly RouteOp[]): void {
    this.prefixes.push(tracked);
    for (const op of ops) {
      const into = op.kind === 'delete' ? this.#deletions : this.#additions;
      into.ops.push(op);
      into.owners.push(tracked);
    }
  }

  inOrder(): Ordered {
    return {
      ops: this.#additions.ops.concat(this.#deletions.ops),
      owners: this.#additions.owners.concat(this.#deletions.owners),
    };
  }
}

interface Ordered {
  readonly ops: RouteOp[];
  /** The prefix of each. */
  readonly owners: Tracked[];
}

export class Lane {
  readonly #pace = new DumpPace();
  readonly #random: Random;
  #flight: DumpFlight | BatchFlight | undefined;
  #attempt = 0;
  #dumpWanted = true;
  #afterLinks = false;
  #stale = false;
  #dumpFailures = 0;
  #dumpNotBefore = Number.NEGATIVE_INFINITY;
  #batchFailures = 0;
  #batchNotBefore = Number.NEGATIVE_INFINITY;
  #batchMax = BATCH_MAX;
  /** After a dump a batch goes first, so that dumps which take longer than their pace starve nothing. */
  #batchFirst = false;

  constructor(random: Random) {
    this.#random = random;
  }

  get busy(): boolean {
    return this.#flight !== undefined;
  }

  get dumpWanted(): boolean {
    return this.#dumpWanted;
  }

  get batchFirst(): boolean {
    return this.#batchFirst;
  }

  /** Prefixes that the next batch may hold. */
  get batchMax(): number {
    return this.#batchMax;
  }

  /** Asks for a dump that begins after now. */
  ask(afterLinks = false): void {
    this.#dumpWanted = true;
    this.#afterLinks ||= afterLinks;
  }

  /** What a dump in flight will show is not what is wanted any more. */
  outdate(): void {
    this.#stale = this.#flight?.kind === 'dump';
    this.#dumpWanted = true;
  }

  dumpDue(now: number): boolean {
    return this.#dumpWanted && now >= this.#dumpAt;
  }

  batchDue(now: number): boolean {
    return now >= this.#batchNotBefore;
  }

  /** When to look again; `work`: prefixes wait for a batch. */
  deadline(work: boolean): number | undefined {
    if (this.busy) return undefined;
    const dump = this.#dumpWanted ? this.#dumpAt : Number.POSITIVE_INFINITY;
    const batch = work ? this.#batchNotBefore : Number.POSITIVE_INFINITY;
    const next = Math.min(dump, batch);
    return next === Number.POSITIVE_INFINITY ? undefined : next;
  }

  beginDump(now: number): DumpFlight {
    this.#attempt += 1;
    const flight: DumpFlight = {
      kind: 'dump',
      attempt: this.#attempt,
      afterLinks: this.#afterLinks,
    };
    this.#flight = flight;
    this.#pace.begun(now);
    this.#dumpWanted = false;
    this.#afterLinks = false;
    this.#stale = false;
    this.#batchFirst = true;
    return flight;
  }

  beginBatch(batch: Batch): BatchFlight {
    this.#attempt += 1;
    const flight: BatchFlight = {
      kind: 'batch',
      attempt: this.#attempt,
      ...batch.inOrder(),
      prefixes: batch.prefixes,
    };
    this.#flight = flight;
    this.#pace.worked();
    this.#batchFirst = false;
    return flight;
  }

  /** The dump that this answers, now landed; undefined for a late answer or one that is out of date. */
  endDump(attempt: number): DumpFlight | undefined {
    const flight = this.#flight;
    if (flight?.kind !== 'dump' || flight.attempt !== attempt) return undefined;
    this.#flight = undefined;
    if (this.#stale) this.#afterLinks ||= flight.afterLinks;
    return this.#stale ? undefined : flight;
  }

  /** The batch that this answers, now landed; undefined for a late answer. */
  endBatch(attempt: number): BatchFlight | undefined {
    const flight = this.#flight;
    if (flight?.kind !== 'batch' || flight.attempt !== attempt) return undefined;
    this.#flight = undefined;
    return flight;
  }

  dumpWorked(): void {
    this.#dumpFailures = 0;
  }

  dumpFailed(flight: DumpFlight, now: number): void {
    this.#dumpFailures += 1;
    this.#dumpNotBefore = now + backoffMs(this.#dumpFailures, RETRY, this.#random);
    this.ask(flight.afterLinks);
  }

  batchWorked(): void {
    this.#batchFailures = 0;
    this.#batchMax = Math.min(BATCH_MAX, this.#batchMax * 2);
  }

  /** The driver refused the whole batch: the next one is half as large, and waits if no size helps. */
  batchFailed(flight: BatchFlight, now: number): void {
    this.#batchFailures += 1;
    this.#batchMax = Math.max(1, flight.prefixes.length >> 1);
    const beyond = this.#batchFailures - HALVINGS_MAX;
    if (beyond > 0) this.#batchNotBefore = now + backoffMs(beyond, RETRY, this.#random);
  }

  get #dumpAt(): number {
    return Math.max(this.#pace.due, this.#dumpNotBefore);
  }
}
