/**
 * Which metric a peer's route gets. The kernel hashes IPv4's next hops by metric and device, not by gateway, so with one
 * metric for all an added route is compared with every gateway there is: 20 us at 1,000 gateways, 210 us at 16,000, 3 to
 * 5 us with a metric per gateway. Metrics decide nothing here: each prefix has one route. docs/decisions/012.
 */
import { type Address, type Prefix, sameAddress } from '../ip/index.ts';
import type { KernelRoute } from './types.ts';

/** auto: by the number of gateways. 0: metric 0 for all. spread: a metric per gateway, however few. */
export type MetricChoice = 'auto' | '0' | 'spread';

/** Over how many metrics to spread from how many gateways on; back to the level before when they are fewer than `below`. */
export interface MetricLevel {
  readonly above: number;
  readonly below: number;
  readonly metrics: number;
}

/** Gaps of a factor of two: a host that comes and goes at the threshold must not rewrite every route each time. */
export const METRIC_LEVELS: readonly MetricLevel[] = [
  { above: 500, below: 250, metrics: 1024 },
  { above: 32_000, below: 16_000, metrics: 16_384 },
];

export interface MetricPolicy {
  /** 0 to 4294967295. */
  metricOf(gateway: Address, prefix: Prefix): number;
  /** A prefix is routed by `now` instead of `before`; undefined: by none. */
  moved(before: Address | undefined, now: Address | undefined): void;
  /** Our routes as the first dump shows them: a restart goes on where the run before was. True: metrics are others now. */
  begin(routes: readonly Pick<KernelRoute, 'gateway' | 'metric'>[]): boolean;
  /** Takes in what moved. `mayFall`: every gateway is known, so few are few. True: metrics of routes are others now. */
  turn(mayFall: boolean): boolean;
  /** Over how many metrics the gateways are spread; 0: not at all. */
  readonly spread: number;
  /** Different IPv4 gateways in use. */
  readonly gateways: number;
}

export class RouteMetrics implements MetricPolicy {
  readonly #levels: readonly MetricLevel[];
  readonly #least: number;
  /** How many prefixes each IPv4 gateway has. */
  readonly #uses = new Map<number, number>();
  /** Levels reached: 0 for metric 0. */
  #level: number;

  constructor(choice: MetricChoice = 'auto', levels: readonly MetricLevel[] = METRIC_LEVELS) {
    this.#levels = choice === '0' ? [] : levels;
    this.#least = choice === 'spread' ? 1 : 0;
    this.#level = this.#least;
  }

  get spread(): number {
    return this.#levels[this.#level - 1]?.metrics ?? 0;
  }

  get gateways(): number {
    return this.#uses.size;
  }

  metricOf(gateway: Address): number {
    return metricAt(gateway, this.spread);
  }

  begin(routes: readonly Pick<KernelRoute, 'gateway' | 'metric'>[]): boolean {
    const own = routes.filter(({ gateway }) => gateway?.family === 4);
    const fits = [0, ...this.#levels.map(({ metrics }) => metrics)].map(
      (spread) => own.filter((r) => r.gateway && metricAt(r.gateway, spread) === r.metric).length,
    );
    const level = fits.indexOf(Math.max(...fits));
    if (level <= this.#level) return false;
    this.#level = level;
    return true;
  }

  moved(before: Address | undefined, now: Address | undefined): void {
    if (sameAddress(before, now)) return;
    if (before?.family === 4) {
      const uses = (this.#uses.get(before.value) ?? 0) - 1;
      if (uses > 0) this.#uses.set(before.value, uses);
      else this.#uses.delete(before.value);
    }
    if (now?.family === 4) this.#uses.set(now.value, (this.#uses.get(now.value) ?? 0) + 1);
  }

  turn(mayFall = true): boolean {
    const before = this.#level;
    const { size } = this.#uses;
    while (size > (this.#levels[this.#level]?.above ?? Number.POSITIVE_INFINITY)) this.#level += 1;
    while (
      mayFall &&
      this.#level > this.#least &&
      size < (this.#levels[this.#level - 1]?.below ?? 0)
    )
      this.#level -= 1;
    return this.#level !== before;
  }
}

function metricAt(gateway: Address, spread: number): number {
  // IPv6 has no such chain; its metric 0 is 1024.
  if (gateway.family === 6 || spread === 0) return 0;
  // Fibonacci hashing: gateways are neighbours or have a stride, and either way come out evenly. The same gateway
  // always gets the same metric, so a restart finds its routes as it left them. Never 0: a delete that names metric 0
  // takes any.
  const hash = Math.imul(gateway.value, 0x9e3779b1) >>> 0;
  return 1 + Math.floor(hash / (2 ** 32 / spread));
}
