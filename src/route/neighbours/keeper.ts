/**
 * The core that keeps the gateways' neighbour entries: adds what is missing, makes the kernel's own ours, takes ours away
 * when nobody wants it, and touches nobody else's. Pure: dumps, batches and time go in and out as values.
 */
import { backoffMs, type Core, type TimerInput } from '../../core/index.ts';
import { DumpPace } from '../pace.ts';
import type { ApplyResult } from '../types.ts';
import { ByNeighbour } from './byNeighbour.ts';
import { Entries } from './entries.ts';
import type {
  KeeperInput,
  KeeperOptions,
  KeeperOutput,
  NeighbourChange,
  NeighbourStatus,
  ReachabilityChange,
} from './keeperTypes.ts';
import { Need } from './need.ts';
import { Reach } from './reach.ts';
import { type Support, statusUnkept, UNMANAGED, UNSUPPORTED } from './support.ts';
import type { Neighbour, NeighbourOp, NeighbourView } from './types.ts';

/** Each new entry is a broadcast: so many at a time, so far apart. */
const BATCH_MAX = 500;
const BATCH_GAP_MS = 100;
/** How often the states are looked at; and when after new entries: once who answers has, and who fails has after 3 s. */
const POLL_MS = 10_000;
const ANSWERED_MS = 1_000;
const FAILED_MS = 4_500;
/** A delete and an adoption name no owner: they follow a look at whose entry it is by no more than this. */
const FRESH_MS = 1_000;
const RETRY = { firstMs: 500, maxMs: 30_000 };
type Flight =
  | { readonly kind: 'dump'; readonly attempt: number }
  | { readonly kind: 'batch'; readonly attempt: number; readonly ops: readonly NeighbourOp[] };

export class NeighbourKeeper implements Core<KeeperInput, KeeperOutput> {
  readonly #options: KeeperOptions;
  readonly #entries: Entries;
  readonly #need = new Need();
  readonly #reach = new Reach();
  readonly #pace = new DumpPace();
  /** What may have to be written. */
  readonly #looks = new ByNeighbour<Neighbour>();
  /** Something other than a dump may have changed what has to be written. */
  #lookAnew = true;
  #support: Support = { kind: 'untried' };
  #complete = false;
  #status: NeighbourStatus = { kind: 'idle' };
  #flight: Flight | undefined;
  #attempt = 0;
  /** Entries of ours may be there from an earlier run, whatever the mode: look once. */
  #askedAt = Number.NEGATIVE_INFINITY;
  #pollAt = Number.POSITIVE_INFINITY;
  #failedAt = Number.NEGATIVE_INFINITY;
  #seenAt = Number.NEGATIVE_INFINITY;
  #notBefore = Number.NEGATIVE_INFINITY;
  #failures = 0;
  /** Why the last call failed; what was first refused since the last dump, and before it. */
  #failing: string | undefined;
  #refused: string | undefined;
  #refusedBefore: string | undefined;
  #trouble: string | undefined;
  #out: KeeperOutput[] = [];

  constructor(options: KeeperOptions) {
    this.#options = options;
    this.#entries = new Entries(options.protocol);
  }

  get deadline(): number | undefined {
    if (this.#flight !== undefined) return undefined;
    const dump = Math.max(this.#dumpDue, this.#notBefore);
    const next = this.#looks.size === 0 ? dump : Math.min(dump, this.#notBefore);
    return next === Number.POSITIVE_INFINITY ? undefined : next;
  }

  handle(input: KeeperInput | TimerInput, now: number): KeeperOutput[] {
    this.#out = [];
    this.#take(input, now);
    this.#tell(now);
    if (this.#flight === undefined && now >= this.#notBefore) this.#go(now);
    return this.#out;
  }

  #take(input: KeeperInput | TimerInput, now: number): void {
    switch (input.type) {
      case 'wanted':
        this.#want(input.changes, now);
        break;
      case 'complete':
        if (input.complete && !this.#complete) this.#ask(now);
        this.#complete = input.complete;
        break;
      case 'limits':
        this.#need.setLimits(input.limits);
        break;
      case 'hint':
        if (this.#active) this.#ask(now);
        break;
      case 'dumped':
        if (this.#landed('dump', input.attempt)) this.#dumped(input.view, now);
        break;
      case 'applied': {
        const flight = this.#landed('batch', input.attempt);
        if (flight?.kind === 'batch') this.#applied(flight.ops, input.result, now);
        break;
      }
      case 'dumpFailed':
        if (this.#landed('dump', input.attempt)) this.#failed(input.reason, now);
        break;
      case 'applyFailed':
        if (this.#landed('batch', input.attempt)) this.#failed(input.reason, now);
        break;
      case 'timer':
        break;
    }
  }

  /** What an answer answers; undefined for a late one. */
  #landed(kind: Flight['kind'], attempt: number): Flight | undefined {
    const flight = this.#flight;
    if (flight?.kind !== kind || flight.attempt !== attempt) return undefined;
    this.#flight = undefined;
    return flight;
  }

  get #active(): boolean {
    const { mode } = this.#options;
    if (this.#support.kind === 'none' || mode === 'off') return false;
    return mode === 'on' || this.#need.now !== undefined;
  }

  get #dumpDue(): number {
    return Math.max(Math.min(this.#askedAt, this.#pollAt), this.#pace.due);
  }

  #ask(now: number): void {
    this.#lookAnew = true;
    this.#askedAt = Math.min(this.#askedAt, now);
  }

  #want(changes: readonly NeighbourChange[], now: number): void {
    for (const { neighbour, wanted } of changes) {
      if (!this.#entries.want(neighbour, wanted)) continue;
      this.#need.add(neighbour.address.family, wanted ? 1 : -1);
      if (!wanted) this.#reach.forget(neighbour);
      this.#lookAnew = true;
      if (!this.#active) continue;
      // A device that no dump has shown yet, or an entry that is to go, wants a look at the kernel first.
      if (wanted && this.#entries.isLive(neighbour.device)) this.#looks.set(neighbour, neighbour);
      else this.#ask(now);
    }
  }

  #dumped(view: NeighbourView, now: number): void {
    this.#worked();
    const news = this.#entries.see(view) || this.#lookAnew;
    this.#lookAnew = false;
    this.#seenAt = now;
    const managing = this.#support.kind === 'untried' ? this.#entries.managing : undefined;
    if (managing !== undefined) this.#support = managing ? { kind: 'works' } : UNMANAGED;
    if (news) {
      this.#looks.clear();
      this.#look(this.#entries.ours);
    }
    if (!this.#active) return;
    this.#pollAt = now < this.#failedAt ? this.#failedAt : now + POLL_MS;
    if (news) this.#look(this.#entries.wanted);
    const observed = news ? this.#entries.wanted : this.#reach.waiting;
    this.#observe(observed, (neighbour) => this.#entries.stateOf(neighbour), now);
  }

  /** Notes those that have to be written, few among thousands. Whatever else makes one so asks for a dump. */
  #look(neighbours: readonly Neighbour[]): void {
    const around = { active: this.#active, complete: this.#complete };
    for (const neighbour of neighbours)
      if (this.#entries.judge(neighbour, around)) this.#looks.set(neighbour, neighbour);
  }

  #observe(
    neighbours: readonly Neighbour[],
    stateOf: (neighbour: Neighbour) => number | undefined,
    now: number,
  ): void {
    const changes: ReachabilityChange[] = [];
    for (const neighbour of neighbours) {
      const outcome = this.#reach.observe(neighbour, stateOf(neighbour), now);
      if (outcome !== undefined) changes.push({ neighbour, outcome });
    }
    if (changes.length > 0) this.#out.push({ type: 'reached', changes });
  }

  #applied(ops: readonly NeighbourOp[], result: ApplyResult, now: number): void {
    this.#worked();
    this.#lookAnew = true;
    this.#notBefore = now + BATCH_GAP_MS;
    if (result.kind === 'unknown') {
      this.#ask(now);
      return;
    }
    const failures = new Map(result.failures.map((failure) => [failure.index, failure]));
    for (const [index, op] of ops.entries()) {
      const failure = failures.get(index);
      if (failure === undefined) this.#entries.done(op);
      // Somebody was there before us, or the kernel has flushed it: the next look tells.
      else if (failure.code === 'EEXIST' || failure.code === 'ENOENT') this.#ask(now);
      else {
        this.#refused ??= `${op.neighbour.address.text}: ${failure.message}`;
        if (this.#support.kind === 'untried' && UNSUPPORTED.has(failure.code))
          this.#support = { kind: 'none', reason: failure.message };
      }
    }
    const anyDone = failures.size < ops.length;
    if (anyDone) this.#pace.worked();
    if (anyDone && this.#active) {
      this.#pollAt = now + ANSWERED_MS;
      this.#failedAt = now + FAILED_MS;
    }
    if (this.#support.kind !== 'untried') return;
    // Nothing more is written before a dump has shown what became of the first entry.
    this.#looks.clear();
    if (anyDone) this.#ask(now);
  }

  #worked(): void {
    this.#failures = 0;
    this.#failing = undefined;
    this.#notBefore = Number.NEGATIVE_INFINITY;
  }

  #failed(reason: string, now: number): void {
    this.#failing = reason;
    this.#failures += 1;
    this.#notBefore = now + backoffMs(this.#failures, RETRY, this.#options.random);
    this.#ask(now);
  }

  /** Says what is to be said, and begins or ends keeping where that has changed. */
  #tell(now: number): void {
    const trouble = this.#failing ?? this.#refused ?? this.#refusedBefore;
    // What is not supported is a status of its own.
    const shown = this.#support.kind === 'none' ? this.#failing : trouble;
    if (shown !== this.#trouble) this.#out.push({ type: 'trouble', reason: shown });
    this.#trouble = shown;
    const status = this.#statusNow();
    if (JSON.stringify(status) === JSON.stringify(this.#status)) return;
    const turned = status.kind !== this.#status.kind;
    this.#status = status;
    this.#out.push({ type: 'status', status });
    if (!turned) return;
    this.#ask(now);
    if (status.kind === 'kept') return;
    this.#pollAt = Number.POSITIVE_INFINITY;
    this.#observe(this.#entries.wanted, () => undefined, now);
  }

  #statusNow(): NeighbourStatus {
    if (this.#active) return { kind: 'kept' };
    return statusUnkept(this.#options.mode, this.#support, this.#need.now);
  }

  #go(now: number): void {
    if (now >= this.#dumpDue) this.#dump(now);
    else if (this.#looks.size > 0) this.#write(now);
  }

  #dump(now: number): void {
    this.#askedAt = Number.POSITIVE_INFINITY;
    this.#pollAt = Number.POSITIVE_INFINITY;
    this.#refusedBefore = this.#refused;
    this.#refused = undefined;
    this.#pace.begun(now);
    const filter = { protocol: this.#options.protocol, devices: this.#entries.devices };
    this.#attempt += 1;
    this.#flight = { kind: 'dump', attempt: this.#attempt };
    this.#out.push({ type: 'dump', attempt: this.#attempt, filter });
  }

  #write(now: number): void {
    // Whether the kernel can do it at all is tried with one entry.
    const max = this.#support.kind === 'untried' ? 1 : BATCH_MAX;
    const around = { active: this.#active, complete: this.#complete };
    const ops: NeighbourOp[] = [];
    for (const neighbour of this.#looks.values()) {
      if (ops.length === max) break;
      this.#looks.delete(neighbour);
      const kind = this.#entries.judge(neighbour, around);
      if (kind === undefined) continue;
      if (kind !== 'add' && now - this.#seenAt > FRESH_MS) this.#ask(now);
      else ops.push({ kind, neighbour, protocol: this.#options.protocol });
    }
    if (ops.length === 0) return;
    this.#attempt += 1;
    this.#flight = { kind: 'batch', attempt: this.#attempt, ops };
    this.#out.push({ type: 'apply', attempt: this.#attempt, ops });
  }
}
