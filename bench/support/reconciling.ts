/** A reconciler at work on a driver, as the agent runs it, with the times and counts that the benchmarks ask for. */
import { run, type Send, systemClock } from '../../src/core/index.ts';
import type { DeviceLink } from '../../src/route/links.ts';
import { Reconciler } from '../../src/route/reconciler.ts';
import type { ReconcilerInput } from '../../src/route/reconcilerTypes.ts';
import { type RouteReport, runReconciler } from '../../src/route/run.ts';
import { type RouteDriver, TABLE_MAIN } from '../../src/route/types.ts';
import type { Reply } from './protocol.ts';
import { gatewayAt, metricOf, NETWORK, PROTOCOL, prefixAt, wantedOf } from './routes.ts';

const LINKS_PAUSE_MS = 250;

type PeerReport = Extract<RouteReport, { type: 'peer' }>;

export class Reconciling {
  readonly #device: number;
  readonly #send: Send<ReconcilerInput>;
  readonly #stop = new AbortController();
  /** Peers that are neither installed nor about to be. */
  readonly #without = new Set<string>();
  readonly #said: Record<string, number> = {};
  readonly #waiting = new Set<{ met: () => boolean; meet: () => void }>();
  #wanted = 0;
  /** Routes of ours that the reconciler knew when it settled last. */
  #kernel = 0;
  #isSettled = false;
  #settles = 0;
  #writes = 0;
  #dumps = 0;
  #onAdded: (() => void) | undefined;
  /** While links are read and for a moment after: whether they changed again. */
  #linksHinted: boolean | undefined;
  #linksTold = false;

  constructor(driver: RouteDriver, device: number, metrics: number) {
    this.#device = device;
    const core = new Reconciler({
      protocol: PROTOCOL,
      table: TABLE_MAIN,
      within: [NETWORK],
      random: Math.random,
      metrics: {
        metricOf: (gateway) => metricOf(gateway, metrics),
        moved: () => {},
        begin: () => false,
        turn: () => false,
        spread: metrics,
        gateways: 0,
      },
    });
    this.#send = runReconciler({
      driver: this.#watched(driver),
      core,
      clock: systemClock,
      random: Math.random,
      signal: this.#stop.signal,
      onReport: (report) => this.#report(report),
    });
    void this.#tellLinks();
  }

  /** Resolves when the reconciler has nothing to do and every wanted route is there. */
  settled(): Promise<void> {
    return this.#until(
      () => this.#isSettled && this.#kernel === this.#wanted && this.#without.size === 0,
    );
  }

  /** Resolves when it rests and knows the links: nothing of the beginning is left that would count for what comes. */
  started(): Promise<void> {
    return this.#until(() => this.#isSettled && this.#linksTold);
  }

  async install(routes: number): Promise<number> {
    const changes = wantedOf(routes, this.#device);
    this.#wanted = routes;
    this.#isSettled = false;
    const start = performance.now();
    this.#send({ type: 'desired', changes, complete: true });
    await this.settled();
    return performance.now() - start;
  }

  async change(times: number): Promise<Reply> {
    const ms: number[] = [];
    for (let index = 0; index < times; index += 1) {
      const added = new Promise<void>((resolve) => {
        this.#onAdded = resolve;
      });
      const gateway = gatewayAt(index, 100_000);
      const route = { gateway, device: this.#device };
      const start = performance.now();
      this.#send({
        type: 'desired',
        changes: [{ prefix: prefixAt(index), route }],
        complete: true,
      });
      await added;
      ms.push(performance.now() - start);
      this.#isSettled = false;
      await this.settled();
    }
    return { ms, counts: this.counts() };
  }

  async resync(times: number): Promise<Reply> {
    const ms: number[] = [];
    const before = this.#writes;
    for (let index = 0; index < times; index += 1) {
      const settles = this.#settles;
      const start = performance.now();
      this.#send({ type: 'hint', links: false, addresses: false, routes: true });
      await this.#until(() => this.#settles > settles);
      ms.push(performance.now() - start);
      // Later than the pace of dumps: the time without it is wanted.
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    return { ms, counts: { writes: this.#writes - before } };
  }

  counts(): Record<string, number> {
    const { contested = 0 } = this.#said;
    return {
      installed: this.#wanted - this.#without.size,
      contested,
      writes: this.#writes,
      dumps: this.#dumps,
    };
  }

  stop(): void {
    this.#stop.abort();
  }

  #report(report: RouteReport): void {
    if (report.type === 'settled') {
      this.#isSettled = true;
      this.#settles += 1;
      this.#kernel = report.kernel;
      for (const wait of this.#waiting) if (wait.met()) wait.meet();
    }
    if (report.type === 'peer') this.#peer(report);
  }

  #peer({ prefix, state }: PeerReport): void {
    if (state === 'pending') return;
    if (state === 'installed') {
      if (this.#without.size > 0) this.#without.delete(prefix.text);
      return;
    }
    this.#said[state] = (this.#said[state] ?? 0) + 1;
    this.#without.add(prefix.text);
  }

  #until(met: () => boolean): Promise<void> {
    if (met()) return Promise.resolve();
    return new Promise((resolve) => {
      const wait = {
        met,
        meet: () => {
          this.#waiting.delete(wait);
          resolve();
        },
      };
      this.#waiting.add(wait);
    });
  }

  /** As the agent does: at once, then again after 250 ms if something changed meanwhile. */
  async #tellLinks(): Promise<void> {
    if (this.#linksHinted !== undefined) {
      this.#linksHinted = true;
      return;
    }
    this.#linksHinted = false;
    const { stdout } = await run('ip', ['-j', 'link', 'show'], { timeoutMs: 10_000 });
    if (!this.#linksHinted) {
      // The first time they are news, which a dump follows: until that has been looked through, it does not rest.
      if (!this.#linksTold) this.#isSettled = false;
      this.#linksTold = true;
      this.#send({ type: 'links', links: linksOf(stdout) });
    }
    setTimeout(() => {
      const again = this.#linksHinted;
      this.#linksHinted = undefined;
      if (again) void this.#tellLinks();
    }, LINKS_PAUSE_MS).unref();
  }

  /** The driver, with its writes counted. */
  #watched(driver: RouteDriver): RouteDriver {
    return {
      name: driver.name,
      dump: (filter) => {
        this.#dumps += 1;
        this.#isSettled = false;
        return driver.dump(filter);
      },
      apply: async (ops) => {
        this.#writes += ops.length;
        this.#isSettled = false;
        const result = await driver.apply(ops);
        if (ops.some(({ kind }) => kind !== 'delete')) this.#onAdded?.();
        return result;
      },
      listen: (filter, onHint) =>
        driver.listen(filter, (hint) => {
          onHint(hint);
          if (hint.links) void this.#tellLinks();
        }),
      close: () => driver.close(),
    };
  }
}

function linksOf(json: string): DeviceLink[] {
  const rows: { ifindex: number; ifname: string; flags: string[] }[] = JSON.parse(json);
  return rows.map(({ ifindex, ifname, flags }) => ({
    index: ifindex,
    name: ifname,
    up: flags.includes('UP'),
  }));
}
