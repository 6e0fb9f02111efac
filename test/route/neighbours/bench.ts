/** A keeper on a fake kernel, stepped by hand: its calls are answered at once, time moves only by `run`. */
import { isDeepStrictEqual } from 'node:util';
import type { Address } from '../../../src/ip/index.ts';
import {
  type KeeperInput,
  NeighbourKeeper,
  type NeighbourMode,
  type NeighbourReport,
} from '../../../src/route/neighbours/index.ts';
import { runKeeper } from '../../../src/route/neighbours/run.ts';
import {
  type KernelNeighbour,
  type NeighbourOp,
  type NeighbourView,
  NUD,
  neighbourText,
} from '../../../src/route/neighbours/types.ts';
import { ManualClock } from '../../support/clock.ts';
import { FakeKernel } from '../../support/fakeKernel.ts';

export const PROTOCOL = 77;
/** Lets every promise that can go on without the clock go on. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Fixed by somebody, or brought in by somebody with another protocol. */
export const isTheirs = ({ state, learned, protocol }: KernelNeighbour): boolean =>
  state === NUD.permanent || (learned && protocol !== PROTOCOL);

export class KeeperBench {
  readonly kernel = new FakeKernel();
  readonly clock = new ManualClock();
  readonly device = this.kernel.addLink('eth0');
  readonly reports: NeighbourReport[] = [];
  /** When each batch was sent, and what was in it. */
  readonly batches: { readonly at: number; readonly ops: readonly NeighbourOp[] }[] = [];
  /** Operations on what the last dump showed to be somebody else's, or on what none has shown for a second. */
  readonly wrongs: string[] = [];
  #seen:
    | { readonly at: number; readonly entries: ReadonlyMap<string, KernelNeighbour> }
    | undefined;
  #last: readonly KernelNeighbour[] = [];
  #life = new AbortController();
  #send: (input: KeeperInput) => void = () => {};

  constructor(mode: NeighbourMode = 'on') {
    this.start(mode);
  }

  get table() {
    return this.kernel.neighbours;
  }

  /** A new keeper on the same kernel, as after kill -9. */
  start(mode: NeighbourMode): void {
    this.#life.abort();
    this.#life = new AbortController();
    const driver = this.table.driver();
    this.#send = runKeeper({
      driver: {
        dump: async (filter) => {
          const view = this.#asBefore(await driver.dump(filter));
          const entries = new Map(view.neighbours.map((entry) => [neighbourText(entry), entry]));
          this.#seen = { at: this.clock.now(), entries };
          return view;
        },
        apply: (ops) => {
          this.batches.push({ at: this.clock.now(), ops });
          this.wrongs.push(...ops.flatMap((op) => this.#wrongWith(op) ?? []));
          return driver.apply(ops);
        },
      },
      core: new NeighbourKeeper({ mode, protocol: PROTOCOL, random: () => 0.5 }),
      clock: this.clock,
      signal: this.#life.signal,
      onReport: (report) => this.reports.push(report),
    });
  }

  send(input: KeeperInput): void {
    this.#send(input);
  }

  want(addresses: readonly Address[], wanted = true): void {
    const { device } = this;
    const changes = addresses.map((address) => ({ neighbour: { address, device }, wanted }));
    this.#send({ type: 'wanted', changes });
  }

  complete(complete = true): void {
    this.#send({ type: 'complete', complete });
  }

  async run(ms: number): Promise<void> {
    const end = this.clock.now() + ms;
    await settle();
    for (let next = this.clock.next; next !== undefined && next <= end; next = this.clock.next) {
      this.clock.advance(Math.max(0, next - this.clock.now()));
      await settle();
    }
    this.clock.advance(end - this.clock.now());
    await settle();
  }

  /** As a driver may: the array of the last dump where that said the same. */
  #asBefore(view: NeighbourView): NeighbourView {
    if (!isDeepStrictEqual(view.neighbours, this.#last)) this.#last = view.neighbours;
    return { ...view, neighbours: this.#last };
  }

  #wrongWith({ kind, neighbour }: NeighbourOp): string | undefined {
    const key = neighbourText(neighbour);
    const entry = this.#seen?.entries.get(key);
    if (entry !== undefined && isTheirs(entry)) return `${kind} ${key}: it is theirs`;
    const age = this.clock.now() - (this.#seen?.at ?? Number.NEGATIVE_INFINITY);
    return kind !== 'add' && age > 1_000 ? `${kind} ${key}: seen ${age} ms ago` : undefined;
  }

  /** Addresses of what we keep. */
  kept(): string[] {
    return this.table
      .entries()
      .filter((entry) => entry.managed && entry.protocol === PROTOCOL)
      .map(({ address }) => address.text)
      .sort();
  }

  /** The last outcome told of each. */
  outcomes(): Map<string, string> {
    const told = this.reports.flatMap((report) =>
      report.type === 'reached' ? report.changes : [],
    );
    return new Map(told.map(({ neighbour, outcome }) => [neighbour.address.text, outcome]));
  }

  /** What was said of the whole: statuses by kind, troubles by their reason. */
  said(): string[] {
    return this.reports.flatMap((report) => {
      if (report.type === 'status') return [report.status.kind];
      return report.type === 'trouble' ? [report.reason ?? 'no trouble'] : [];
    });
  }
}
