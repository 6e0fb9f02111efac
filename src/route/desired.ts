/**
 * The desired side: turns changes of the leases into wishes of the tracker, and keeps those that a hold protects.
 */
import type { Address, Prefix } from '../ip/index.ts';
import { Hold, type Loss } from './hold.ts';
import { type MetricPolicy, RouteMetrics } from './metric.ts';
import { isOwn, storedMetric } from './plan.ts';
import type {
  DesiredChange,
  HoldEnd,
  ReconcilerInput,
  ReconcilerOptions,
  ReconcilerOutput,
  WantedRoute,
} from './reconcilerTypes.ts';
import type { Tracked, Tracker } from './tracker.ts';
import type { Route } from './types.ts';

const HOLD_MS = 600_000;

type DesiredInput = Extract<ReconcilerInput, { type: 'desired' }>;
type DesiredNews = Extract<ReconcilerOutput, { type: 'hold' | 'holdCleared' | 'metrics' }>;

export class Desired {
  readonly #options: ReconcilerOptions;
  readonly #tracker: Tracker;
  readonly #hold: Hold;
  readonly #metrics: MetricPolicy;
  readonly #say: (news: DesiredNews) => void;
  readonly #look: (tracked: Tracked) => void;
  #swept = false;
  /** A complete view was: what a wiped etcd lacks, the view before it may lack too, and the kernel still have. */
  #suspect = false;
  #begun = false;
  #complete = false;

  /** `look` is called for each prefix about which something changed, `say` when a hold begins or ends, or metrics change. */
  constructor(
    options: ReconcilerOptions,
    tracker: Tracker,
    look: (tracked: Tracked) => void,
    say: (news: DesiredNews) => void,
  ) {
    this.#options = options;
    this.#tracker = tracker;
    this.#hold = new Hold(options.holdMs ?? HOLD_MS);
    this.#metrics = options.metrics ?? new RouteMetrics('0');
    this.#look = look;
    this.#say = say;
  }

  /** When the hold runs out. */
  get until(): number | undefined {
    return this.#hold.until;
  }

  holds(key: string): boolean {
    return this.#hold.holds(key);
  }

  /** Prefixes that return come first and new ones last, so that "more than half" is of the peers there were. */
  change({ changes, complete, suspect }: DesiredInput, now: number): void {
    this.#complete ||= complete;
    this.#suspect ||= complete && (suspect ?? false);
    const losses: Loss[] = [];
    const fresh: Tracked[] = [];
    for (const tracked of this.#asked(changes)) {
      const { prefix, wish, asked } = tracked;
      if (asked?.route !== undefined) {
        const key = prefix.text;
        const returned = !this.#hold.idle && this.#changing(() => this.#hold.returned(key, now));
        if (returned || wish !== undefined) this.#take(tracked);
        else fresh.push(tracked);
        continue;
      }
      tracked.asked = undefined;
      if (wish === undefined) this.#look(tracked);
      else if (!this.#hold.holds(prefix.text)) losses.push({ prefix, wish });
    }
    for (const { prefix } of losses) this.#want(this.#tracker.of(prefix), undefined);
    const left = this.#tracker.wanted;
    const held = this.#changing(() => this.#hold.lose(losses, left, now, suspect ?? false));
    // Those that went before their number was too great are put back.
    for (const { prefix, wish } of held)
      this.#want(this.#tracker.of(prefix), wish && this.#metered(wish));
    for (const tracked of fresh) {
      this.#hold.came(tracked.prefix.text, now);
      this.#take(tracked);
    }
    this.#turnMetrics();
  }

  /** The prefixes of the changes, each once, with its last change. That one goes which nobody knows needs nothing. */
  #asked(changes: readonly DesiredChange[]): readonly Tracked[] {
    const all: Tracked[] = [];
    for (const change of changes) {
      const { prefix, route } = change;
      const tracked = route === undefined ? this.#tracker.get(prefix) : this.#tracker.of(prefix);
      if (tracked === undefined) continue;
      if (tracked.asked === undefined) all.push(tracked);
      tracked.asked = change;
    }
    return all;
  }

  /** What is asked for becomes the wish. */
  #take(tracked: Tracked): void {
    const route = tracked.asked?.route;
    tracked.asked = undefined;
    this.#want(tracked, route && this.#routeOf(tracked.prefix, route));
  }

  /** The kernel's routes are known, for the first time or after they were not. */
  seen(): void {
    if (!this.#begun) {
      const rows = [...this.#tracker.all()].flatMap((tracked) => tracked.rows);
      if (this.#metrics.begin(rows.filter((row) => isOwn(row, this.#options)))) this.#remeter();
      this.#turnMetrics();
    }
    this.#begun = true;
    for (const tracked of this.#tracker.all()) this.#look(tracked);
  }

  /** The uplink has another index: every wish goes by it now, those included that a hold keeps or may put back. */
  move(from: number, to: number): void {
    this.#hold.move(from, to);
    for (const tracked of this.#tracker.all()) {
      const { wish } = tracked;
      if (wish?.device === from) this.#want(tracked, { ...wish, device: to });
    }
  }

  /** Both views are complete: routes of ours that nobody wants may go, unless they are too many at once, or it is suspect that they are unwanted. */
  sweep(now: number): void {
    if (this.#swept) return;
    this.#swept = true;
    const own = [...this.#tracker.all()].filter((tracked) => tracked.own > 0);
    const unwanted = own
      .filter(({ wish }) => wish === undefined)
      .map(({ prefix }): Loss => ({ prefix, wish: undefined }));
    this.#changing(() => this.#hold.sweep(unwanted, own.length, now, this.#suspect));
    for (const tracked of this.#tracker.all()) if (tracked.plan.ops.length > 0) this.#look(tracked);
  }

  /** Ends the hold, if there is one: what it held goes. */
  end(why: HoldEnd): void {
    if (this.#hold.until === undefined) return;
    for (const { prefix, wish } of this.#hold.end()) {
      const tracked = this.#tracker.of(prefix);
      if (wish !== undefined) this.#want(tracked, undefined);
      this.#look(tracked);
    }
    this.#say({ type: 'holdCleared', why });
    this.#turnMetrics();
  }

  /** Nothing of a prefix is left that could be held. */
  gone(key: string, now: number): void {
    this.#changing(() => this.#hold.release(key, now));
  }

  #want(tracked: Tracked, wish: Route | undefined): void {
    this.#metrics.moved(tracked.wish?.gateway, wish?.gateway);
    this.#tracker.want(tracked, wish);
    this.#look(tracked);
  }

  /** Does something to the hold, and says so if that began or ended one. */
  #changing<T>(change: () => T): T {
    const stood = this.#hold.until !== undefined;
    const result = change();
    const { until, count, of } = this.#hold;
    if (!stood && until !== undefined) this.#say({ type: 'hold', count, of, until });
    if (stood && until === undefined) this.#say({ type: 'holdCleared', why: 'returned' });
    return result;
  }

  #routeOf(prefix: Prefix, { gateway, device, source }: WantedRoute): Route {
    const { protocol, table } = this.#options;
    const metric = this.#metricOf(prefix, gateway);
    if (source === undefined) return { prefix, gateway, device, metric, protocol, table };
    return { prefix, gateway, device, metric, protocol, table, source };
  }

  #metered(route: Route): Route {
    return { ...route, metric: this.#metricOf(route.prefix, route.gateway) };
  }

  #metricOf(prefix: Prefix, gateway: Address): number {
    return storedMetric(prefix, this.#metrics.metricOf(gateway, prefix));
  }

  /** More or fewer gateways than the metrics in use are good for: every route moves to its new metric. */
  #turnMetrics(): void {
    if (!this.#metrics.turn(this.#complete)) return;
    const { spread, gateways } = this.#metrics;
    this.#say({ type: 'metrics', spread, gateways });
    this.#remeter();
  }

  #remeter(): void {
    for (const tracked of this.#tracker.all())
      if (tracked.wish !== undefined) this.#want(tracked, this.#metered(tracked.wish));
  }
}
