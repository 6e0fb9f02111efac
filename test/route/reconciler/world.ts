/**
 * A reconciler over the fake kernel on virtual time. Requests wait until they are carried out, answers and hints until
 * they are delivered, so a test decides what happens in between. Checks after each batch what must never happen.
 */
import assert from 'node:assert/strict';
import { type Address, type Prefix, parseAddress, parsePrefix } from '../../../src/ip/index.ts';
import type { MetricPolicy } from '../../../src/route/metric.ts';
import { Reconciler } from '../../../src/route/reconciler.ts';
import type {
  DesiredChange,
  PeerState,
  ReconcilerInput,
  ReconcilerOptions,
  ReconcilerOutput,
} from '../../../src/route/reconcilerTypes.ts';
import { sameRow } from '../../../src/route/rows.ts';
import { type KernelRoute, PROTOCOL_BOOT, routeText } from '../../../src/route/types.ts';
import { FakeKernel } from '../../support/fakeKernel.ts';
import type { ModelKernel } from './modelKernel.ts';

export const OURS = 99;
export const WITHIN = [prefix('10.100.0.0/16'), prefix('fd01::/32')];

export function prefix(text: string): Prefix {
  const parsed = parsePrefix(text);
  assert.ok(parsed, text);
  return parsed;
}

export function address(text: string): Address {
  const parsed = parseAddress(text);
  assert.ok(parsed, text);
  return parsed;
}

/** A metric for each prefix, which may change when its wish does. */
export function metricBy(choose: (prefix: Prefix) => number): MetricPolicy {
  const metricOf = (_: Address, of: Prefix): number => choose(of);
  const never = () => false;
  return { metricOf, moved: () => {}, begin: never, turn: never, spread: 0, gateways: 0 };
}

const isOurs = (route: KernelRoute): boolean => route.protocol === OURS;
const nexthopText = (route: KernelRoute): string =>
  `${route.prefix.text} ${route.gateway?.text} ${route.device}`;

type Request = Extract<ReconcilerOutput, { type: 'dump' | 'apply' }>;

/** A reconciler over any kernel. */
export class ModelWorld {
  readonly kernel: ModelKernel;
  readonly eth0: number;
  readonly eth1: number;
  readonly outputs: ReconcilerOutput[] = [];
  /** The last state told of each prefix. */
  readonly states = new Map<string, { state: PeerState; reason: string }>();
  readonly #options: Partial<ReconcilerOptions>;
  now = 0;
  core: Reconciler;
  /** What waits to be carried out by the kernel, and what waits to be told. */
  request: Request | undefined;
  answer: ReconcilerInput | undefined;
  /** What the next dump shows wrongly. */
  tear:
    | { readonly key: string; readonly metric: number; readonly shows: 'twice' | 'never' }
    | undefined;
  #hints: ReconcilerInput[] = [];
  #listening = new AbortController();
  #toldAll = false;
  #dumped = false;
  /** Nexthops of ours as the last dump or the last write of their prefix left them: what can be known. */
  #known = new Set<string>();
  #lastDump: readonly KernelRoute[] = [];

  constructor(options: Partial<ReconcilerOptions>, kernel: ModelKernel) {
    this.#options = options;
    this.kernel = kernel;
    this.eth0 = kernel.addLink('eth0');
    this.eth1 = kernel.addLink('eth1');
    kernel.addAddress(this.eth0, '10.0.0.1/24');
    kernel.addAddress(this.eth0, 'fd00::1/64');
    kernel.addAddress(this.eth1, '10.1.0.1/24');
    this.core = this.#start();
  }

  /** A new reconciler over the same kernel: whatever was in flight or said is lost. */
  restart(other: Partial<ReconcilerOptions> = {}): void {
    this.#listening.abort();
    this.#listening = new AbortController();
    this.core = this.#start(other);
  }

  #start(other: Partial<ReconcilerOptions> = {}): Reconciler {
    const { signal } = this.#listening;
    this.request = undefined;
    this.answer = undefined;
    this.#hints = [];
    this.states.clear();
    this.#toldAll = false;
    this.#dumped = false;
    const options = {
      protocol: OURS,
      table: 254,
      within: WITHIN,
      random: () => 0.5,
      ...this.#options,
      ...other,
    };
    const filter = { protocol: OURS, table: 254, within: WITHIN };
    void this.kernel.driver().listen(filter, (hint) => {
      if (!signal.aborted) this.#hints.push({ type: 'hint', ...hint });
    });
    this.#settleKernel();
    this.#hints = [];
    return new Reconciler(options);
  }

  send(input: ReconcilerInput | { type: 'timer' }): ReconcilerOutput[] {
    if (input.type === 'desired' && input.complete) this.#toldAll = true;
    if (input.type === 'dumped') this.#dumped = true;
    const outputs = this.core.handle(input, this.now);
    for (const output of outputs) {
      if (output.type === 'dump' || output.type === 'apply') {
        assert.equal(this.request, undefined, 'one request in flight');
        assert.equal(this.answer, undefined, 'one request in flight');
        this.request = output;
      } else if (output.type === 'peer') this.states.set(output.prefix.text, output);
      else if (output.type === 'removed') this.states.delete(output.prefix.text);
    }
    this.outputs.push(...outputs);
    return outputs;
  }

  want(routes: Record<string, string | undefined>, complete = true): void {
    const changes = Object.entries(routes).map(([key, gateway]) => this.change(key, gateway));
    this.send({ type: 'desired', changes, complete });
  }

  /** `gateway` may name the device: `10.0.0.2` or `10.1.0.2 eth1`. */
  change(key: string, gateway: string | undefined): DesiredChange {
    if (gateway === undefined) return { prefix: prefix(key), route: undefined };
    const [via = '', device] = gateway.split(' ');
    const index = device === 'eth1' ? this.eth1 : this.eth0;
    return { prefix: prefix(key), route: { gateway: address(via), device: index } };
  }

  /** The kernel carries out what was asked for; the answer waits. */
  carryOut(): void {
    const request = this.request;
    if (request === undefined) return;
    this.request = undefined;
    const { attempt } = request;
    try {
      if (request.type === 'dump') {
        const routes = this.#same(this.#torn(this.kernel.dumpNow(request.filter)));
        // A dump that fails tells nothing: what was known before stays so.
        this.#known = new Set(this.kernel.routes().filter(isOurs).map(nexthopText));
        this.answer = { type: 'dumped', attempt, routes };
      } else this.answer = { type: 'applied', attempt, result: this.#applyGuarded(request) };
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error;
      const type = request.type === 'dump' ? 'dumpFailed' : 'applyFailed';
      this.answer = { type, attempt, reason: String(error) };
    }
    this.#settleKernel();
  }

  /**
   * An IPv6 dump goes from bucket to bucket of a tree that others change meanwhile: it may show a route, with all its
   * siblings, twice or not at all.
   */
  #torn(routes: readonly KernelRoute[]): readonly KernelRoute[] {
    const { tear } = this;
    this.tear = undefined;
    if (tear === undefined) return routes;
    const isTorn = (row: KernelRoute): boolean =>
      row.prefix.text === tear.key && row.metric === tear.metric;
    const torn = routes.filter(isTorn);
    if (tear.shows === 'twice') return [...routes, ...torn.map((row) => ({ ...row }))];
    return routes.filter((row) => !isTorn(row));
  }

  /** As drivers do that remember: a dump that says what the last one said is the very same array. */
  #same(routes: readonly KernelRoute[]): readonly KernelRoute[] {
    const last = this.#lastDump;
    const isSame = (row: KernelRoute, index: number): boolean => {
      const old = last[index];
      return old !== undefined && old.prefix.text === row.prefix.text && sameRow(old, row);
    };
    if (routes.length !== last.length || !routes.every(isSame)) this.#lastDump = routes;
    return this.#lastDump;
  }

  /** Tells the reconciler the answer that waits. */
  deliver(): void {
    const answer = this.answer;
    this.answer = undefined;
    if (answer !== undefined) this.send(answer);
  }

  deliverHint(): void {
    this.#settleKernel();
    const hint = this.#hints.shift();
    if (hint !== undefined) this.send(hint);
  }

  /** No hint comes through from now on. */
  deafen(): void {
    this.#listening.abort();
  }

  /** Lets everything happen for `ms`, each answer at once. */
  run(ms: number): void {
    const end = this.now + ms;
    for (let i = 0; ; i += 1) {
      assert.ok(i < 100_000, 'the reconciler never rests');
      this.#settleKernel();
      if (this.request !== undefined || this.answer !== undefined) {
        this.carryOut();
        this.deliver();
      } else if (this.#hints.length > 0) this.deliverHint();
      else {
        const { deadline } = this.core;
        if (deadline === undefined || deadline > end) break;
        this.now = Math.max(this.now, deadline);
        this.send({ type: 'timer' });
      }
    }
    this.now = end;
  }

  /** Our routes as the kernel has them, without metric 0 and protocol. */
  ours(): string[] {
    return this.kernel
      .routes()
      .filter((route) => route.protocol === OURS)
      .map((r) => `${r.prefix.text} via ${r.gateway?.text} metric ${r.metric}`)
      .sort();
  }

  state(key: string): PeerState | undefined {
    return this.states.get(key)?.state;
  }

  /** Outputs of a type since the last call of `outputs.length = 0`. */
  said<T extends ReconcilerOutput['type']>(type: T): Extract<ReconcilerOutput, { type: T }>[] {
    return this.outputs.filter((o): o is Extract<ReconcilerOutput, { type: T }> => o.type === type);
  }

  #applyGuarded(request: Extract<Request, { type: 'apply' }>) {
    assert.ok(this.#dumped, 'nothing is written before a dump');
    for (const { kind } of request.ops) {
      assert.ok(kind !== 'delete' || this.#toldAll, 'no removal before the leases are complete');
    }
    const before = this.kernel.routes();
    const result = this.kernel.applyNow(request.ops);
    const rows = this.kernel.routes();
    const after = new Set(rows);
    for (const route of before) {
      if (isOurs(route) || after.has(route)) continue;
      assert.ok(this.#mayTakeOver(route), `a foreign route was taken away: ${routeText(route)}`);
    }
    const written = new Set(request.ops.map(({ route }) => route.prefix.text));
    const isWritten = (route: KernelRoute): boolean =>
      isOurs(route) && written.has(route.prefix.text);
    for (const route of before.filter(isWritten)) this.#known.delete(nexthopText(route));
    for (const route of rows.filter(isWritten)) this.#known.add(nexthopText(route));
    return result;
  }

  /** A `proto boot` route may go if ours says the same and stood when we last could know. */
  #mayTakeOver(route: KernelRoute): boolean {
    if (route.protocol !== PROTOCOL_BOOT || route.table !== 254 || route.tos !== 0) return false;
    return this.#known.has(nexthopText(route));
  }

  #settleKernel(): void {
    while (this.kernel.step() !== undefined);
  }
}

/** A reconciler over the fake kernel. */
export class World extends ModelWorld {
  override readonly kernel: FakeKernel;

  constructor(options: Partial<ReconcilerOptions> = {}, kernel = new FakeKernel({ run: 'step' })) {
    super(options, kernel);
    this.kernel = kernel;
  }
}
