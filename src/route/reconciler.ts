/**
 * The reconciler: drives the kernel's routes to the wanted ones. Pure (core/core.ts). One dump or batch in flight;
 * nothing is written before a dump, nothing deleted before the leases are known in full, nobody else's route touched,
 * nothing replaced. Every prefix that is not as wanted has a state with a reason, and a time of its next try.
 */
import type { Core, TimerInput } from '../core/index.ts';
import type { Prefix } from '../ip/index.ts';
import { Desired } from './desired.ts';
import { Batch, type BatchFlight, Lane } from './lane.ts';
import { type DeviceLink, Links } from './links.ts';
import { type Circumstances, failureOf } from './peer.ts';
import { Peers } from './peers.ts';
import type { ReconcilerInput, ReconcilerOptions, ReconcilerOutput } from './reconcilerTypes.ts';
import { type Tracked, Tracker } from './tracker.ts';
import type { ApplyResult, KernelRoute, OpFailure, RouteOp } from './types.ts';

export class Reconciler implements Core<ReconcilerInput, ReconcilerOutput> {
  readonly #options: ReconcilerOptions;
  readonly #tracker: Tracker;
  readonly #lane: Lane;
  readonly #desired: Desired;
  readonly #peers: Peers;
  readonly #links = new Links();
  readonly #troubles = new Map<'dump' | 'apply', string | undefined>();
  #within: readonly Prefix[];
  #seen = false;
  #complete = false;
  #settled = false;
  #writes = 0;
  /** Batches in a row whose outcome is unknown. */
  #unknowns = 0;
  #out: ReconcilerOutput[] = [];

  constructor(options: ReconcilerOptions) {
    this.#options = options;
    this.#within = options.within ?? [];
    this.#lane = new Lane(options.random);
    this.#peers = new Peers(options);
    this.#tracker = new Tracker(options, (tracked) => this.#peers.look(tracked));
    this.#desired = new Desired(
      options,
      this.#tracker,
      (tracked) => this.#peers.look(tracked),
      (news) => this.#out.push(news),
    );
  }

  get deadline(): number | undefined {
    const times = [this.#lane.deadline(this.#peers.waiting), this.#peers.next, this.#desired.until];
    const next = Math.min(...times.map((time) => time ?? Number.POSITIVE_INFINITY));
    return next === Number.POSITIVE_INFINITY ? undefined : next;
  }

  handle(input: ReconcilerInput | TimerInput, now: number): ReconcilerOutput[] {
    this.#out = [];
    this.#take(input, now);
    this.#peers.wake(now);
    if (now >= (this.#desired.until ?? Number.POSITIVE_INFINITY)) this.#desired.end('expired');
    if (!this.#lane.busy) this.#go(now);
    return this.#out;
  }

  #take(input: ReconcilerInput | TimerInput, now: number): void {
    switch (input.type) {
      case 'desired':
        this.#settled = false;
        this.#desired.change(input, now);
        if (input.complete) this.#complete = true;
        this.#sweep(now);
        break;
      case 'device':
        this.#desired.move(input.from, input.to);
        break;
      case 'within':
        this.#setWithin(input.prefixes);
        break;
      case 'links':
        this.#setLinks(input.links);
        break;
      case 'dumped':
        this.#dumped(input.attempt, input.routes, now);
        break;
      case 'dumpFailed':
        this.#dumpFailed(input.attempt, input.reason, now);
        break;
      case 'applied':
        this.#applied(input.attempt, input.result, now);
        break;
      case 'applyFailed':
        this.#applyFailed(input.attempt, input.reason, now);
        break;
      case 'hint':
        this.#lane.ask(input.links || input.addresses);
        if (input.links) this.#links.doubt(now);
        break;
      case 'confirm':
        this.#desired.end('confirmed');
        break;
      case 'timer':
        break;
    }
  }

  #setWithin(prefixes: readonly Prefix[]): void {
    const textOf = (list: readonly Prefix[]): string => list.map((p) => p.text).join(' ');
    if (textOf(prefixes) === textOf(this.#within)) return;
    this.#within = prefixes;
    // Rivals inside the new prefixes are not known yet: what the last dump showed is no view to write from.
    this.#seen = false;
    this.#lane.outdate();
  }

  #setLinks(links: readonly DeviceLink[]): void {
    if (!this.#links.take(links)) return;
    // What failed is tried again, and states are told anew by what is known of the links now.
    this.#lane.ask(true);
    this.#peers.lookAtWaiting();
  }

  #dumped(attempt: number, routes: readonly KernelRoute[], now: number): void {
    const flight = this.#lane.endDump(attempt);
    if (flight === undefined) return;
    this.#lane.dumpWorked();
    this.#trouble('dump', undefined);
    const changed = this.#tracker.see(routes);
    for (const tracked of changed) this.#peers.look(tracked);
    this.#peers.believe(now);
    if (flight.afterLinks) this.#peers.forgive(changed);
    if (!this.#seen) this.#desired.seen();
    this.#seen = true;
    this.#sweep(now);
  }

  #dumpFailed(attempt: number, reason: string, now: number): void {
    const flight = this.#lane.endDump(attempt);
    if (flight === undefined) return;
    this.#lane.dumpFailed(flight, now);
    this.#trouble('dump', reason);
  }

  #applied(attempt: number, result: ApplyResult, now: number): void {
    const flight = this.#lane.endBatch(attempt);
    if (flight === undefined) return;
    for (const tracked of flight.prefixes) this.#peers.look(tracked);
    if (result.kind === 'unknown') {
      this.#unknown(flight, result.reason, now);
      return;
    }
    this.#unknowns = 0;
    this.#lane.batchWorked();
    this.#trouble('apply', undefined);
    const failures = new Map(result.failures.map((failure) => [failure.index, failure]));
    let touched: Tracked | undefined;
    flight.owners.forEach((tracked, index) => {
      const op = flight.ops[index];
      if (op === undefined) return;
      const failure = failures.get(index);
      if (failure !== undefined) {
        this.#failed(tracked, op, failure, now);
        return;
      }
      this.#done(tracked, op);
      if (touched !== tracked) this.#peers.wrote(tracked, now);
      touched = tracked;
    });
  }

  /** Once, a dump tells what came of it. Again and again, the driver is in trouble: said, and tried ever more slowly. */
  #unknown(flight: BatchFlight, reason: string, now: number): void {
    this.#unknowns += 1;
    if (this.#unknowns > 1) {
      this.#lane.batchFailed(flight, now);
      this.#trouble('apply', reason);
    }
    this.#doubt(flight.prefixes);
  }

  #done(tracked: Tracked, op: RouteOp): void {
    this.#tracker.done(tracked, op);
    // Only CREATE|EXCL and the deletion of what nobody wants need no second look: at a change a rival may have come
    // between our dump and our write.
    if (op.kind !== 'add' && tracked.wish !== undefined) this.#lane.ask();
  }

  #failed(tracked: Tracked, op: RouteOp, failure: OpFailure, now: number): void {
    const notAsSeen = op.kind === 'delete' ? 'ESRCH' : 'EEXIST';
    if (failure.code === notAsSeen) {
      if (op.kind === 'delete') this.#tracker.absent(tracked, op);
      tracked.peer?.missed(op, now);
      this.#doubt([tracked]);
      // If the wish has changed meanwhile, the peer forgets this at its next look: it was about the old one.
    } else this.#peers.fail(tracked, failureOf(failure), now);
  }

  #applyFailed(attempt: number, reason: string, now: number): void {
    const flight = this.#lane.endBatch(attempt);
    if (flight === undefined) return;
    this.#lane.batchFailed(flight, now);
    this.#trouble('apply', reason);
    this.#doubt(flight.prefixes);
    const [only, ...more] = flight.prefixes;
    if (only !== undefined && more.length === 0)
      this.#peers.fail(only, { state: 'rejected', reason }, now);
  }

  /** Says what is the matter with the driver, if that is news. */
  #trouble(about: 'dump' | 'apply', reason: string | undefined): void {
    if (this.#troubles.get(about) === reason) return;
    this.#troubles.set(about, reason);
    this.#out.push({ type: 'trouble', about, reason });
  }

  #doubt(prefixes: readonly Tracked[]): void {
    for (const tracked of prefixes) this.#peers.doubt(tracked);
    this.#lane.ask();
  }

  /** From the moment that both views are complete, what nobody wants may go. */
  #sweep(now: number): void {
    if (this.#complete && this.#seen) this.#desired.sweep(now);
  }

  /** Begins what is to be done next. */
  #go(now: number): void {
    const lane = this.#lane;
    const dumpFirst = lane.dumpDue(now) && !lane.batchFirst;
    if (!dumpFirst && lane.batchDue(now) && this.#apply(now)) return;
    if (lane.dumpDue(now)) this.#dump(now);
    else if (this.#seen && !lane.dumpWanted && !this.#peers.waiting) this.#settle();
  }

  #settle(): void {
    // With nothing left to write, that a batch failed is over: none may come for days to show that they work again.
    if (this.#tracker.pending === 0) this.#trouble('apply', undefined);
    if (this.#settled) return;
    this.#settled = true;
    this.#out.push({
      type: 'settled',
      complete: this.#complete,
      desired: this.#tracker.wanted,
      kernel: this.#tracker.own,
      writes: this.#writes,
    });
    this.#writes = 0;
  }

  #dump(now: number): void {
    this.#settled = false;
    const { protocol, table } = this.#options;
    const { attempt } = this.#lane.beginDump(now);
    const filter = { table, protocol, within: this.#within };
    this.#out.push({ type: 'dump', attempt, filter });
  }

  /** Looks at what changed and sends what may be written, additions first; false if there is nothing. */
  #apply(now: number): boolean {
    const batch = new Batch();
    const begin = this.#out.length;
    const around = this.#around(now);
    while (batch.prefixes.length < this.#lane.batchMax) {
      const tracked = this.#peers.takeLook();
      if (tracked === undefined) break;
      if (tracked.wish === undefined && tracked.own === 0) {
        this.#forget(tracked, now);
        continue;
      }
      const { ops, news } = this.#peers.judge(tracked, around, now);
      if (news !== undefined) this.#out.push(news);
      if (ops.length > 0) batch.add(tracked, ops);
    }
    if (batch.prefixes.length === 0) return false;
    const { attempt, ops } = this.#lane.beginBatch(batch);
    this.#settled = false;
    this.#writes += ops.length;
    // The kernel works while people are told.
    this.#out.splice(begin, 0, { type: 'apply', attempt, ops });
    return true;
  }

  #around(now: number): Circumstances {
    return {
      seen: this.#seen,
      complete: this.#complete,
      holds: (key) => this.#desired.holds(key),
      inside: (prefix) => this.#tracker.inside(prefix),
      deviceName: (device) =>
        this.#links.nameOf(device) ?? this.#options.deviceName?.(device) ?? String(device),
      linkState: (device) => this.#links.stateOf(device, now),
    };
  }

  /** A prefix is neither wanted nor has a route of ours. */
  #forget(tracked: Tracked, now: number): void {
    const forgotten = this.#peers.forget(tracked);
    if (forgotten === 'doubtful') return;
    this.#desired.gone(tracked.prefix.text, now);
    this.#tracker.drop(tracked);
    if (forgotten !== undefined) this.#out.push({ type: 'removed', prefix: forgotten });
  }
}
