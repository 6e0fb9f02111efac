/**
 * A stateful stand-in for the kernel's routing: links, addresses, routes, what makes routes vanish, hints.
 * Behaves as measured on Linux 6.18 (which errno, which sentence, which order). Driver calls wait in a queue
 * that runs by itself or is stepped by the test; nothing here knows time.
 */
import { errnoName, errnoText } from '../../src/route/errno.ts';
import {
  type ApplyResult,
  type DumpFilter,
  type KernelRoute,
  type OpFailure,
  type RouteDriver,
  RouteDriverError,
  type RouteOp,
} from '../../src/route/types.ts';
import { fakeDriver } from './fakeDriver.ts';
import { FakeFailures } from './fakeFailures.ts';
import { FakeHints } from './fakeHints.ts';
import { FakeNeighbours } from './fakeNeighbours.ts';
import { checkAdd, type FakeAddress, type FakeLink, interfaceAddress } from './fakeNexthop.ts';
import { type ForeignRoute, lineOf, textOf, wholeRoute } from './fakeRoute.ts';
import { FakeTable, kernelRouteOf } from './fakeTable.ts';

export type { ForeignRoute } from './fakeRoute.ts';

const PROTOCOL_KERNEL = 2;

/** One operation that reached the kernel, and what came of it: the route as it was written or taken away. */
export interface JournalEntry {
  readonly kind: RouteOp['kind'];
  readonly route: KernelRoute;
  readonly result: 'done' | string;
}

export interface FakeKernelOptions {
  /** auto: calls are answered by themselves, in order. step: each waits for `step()`. Default auto. */
  readonly run?: 'auto' | 'step';
}

export class FakeKernel {
  /** Every operation of every driver, in order. */
  readonly journal: JournalEntry[] = [];
  readonly failures = new FakeFailures();
  readonly #table = new FakeTable();
  readonly #links = new Map<number, FakeLink>();
  #addresses: FakeAddress[] = [];
  readonly #queue: { readonly name: string; readonly work: () => void }[] = [];
  readonly #hints = new FakeHints((work) => this.#enqueue('hint', work));
  readonly neighbours = new FakeNeighbours({
    isLive: (device) => {
      const link = this.#links.get(device);
      return link?.up && link.carrier;
    },
    call: (name, work) => this.#call(name, work),
  });
  readonly #auto: boolean;
  #lastIndex = 1;

  constructor(options: FakeKernelOptions = {}) {
    this.#auto = options.run !== 'step';
  }

  /** A driver onto this kernel. Several may be open at once. */
  driver(): RouteDriver {
    const routes = fakeDriver({
      failures: this.failures,
      hints: this.#hints,
      call: (name, work) => this.#call(name, work),
      peek: (filter) => this.#table.dump(filter),
      dump: (filter, taken) => this.dumpNow(filter, taken),
      apply: (ops) => this.applyNow(ops),
    });
    return { ...routes, neighbours: this.neighbours.driver() };
  }

  /** What calls wait for their step, oldest first. */
  get pending(): readonly string[] {
    return this.#queue.map((job) => job.name);
  }

  /** Does the oldest waiting call and returns its name; undefined if none waits. Its promise settles in a microtask. */
  step(): string | undefined {
    const job = this.#queue.shift();
    job?.work();
    return job?.name;
  }

  /** The dump as a plain call; throws RouteDriverError where a failure is armed. */
  dumpNow(filter: DumpFilter, taken?: readonly KernelRoute[]): readonly KernelRoute[] {
    if (this.failures.take('dump')) throw new RouteDriverError('armed: the dump was interrupted');
    const shown = taken ?? this.#table.dump(filter);
    return shown.map((route) => {
      const linkDown = this.#links.get(route.device)?.carrier === false;
      return route.linkDown === linkDown ? route : { ...route, linkDown };
    });
  }

  /** The batch as a plain call, in order; a failing operation does not stop the rest. */
  applyNow(ops: readonly RouteOp[]): ApplyResult {
    if (this.failures.take('apply')) throw new RouteDriverError('armed: nothing was sent');
    const lost = this.failures.take('unknown');
    const reached =
      lost === undefined
        ? ops.length
        : { before: 0, half: ops.length >> 1, after: ops.length }[lost.when];
    const failures: OpFailure[] = [];
    ops.slice(0, reached).forEach((op, index) => {
      const armed = this.failures.takeOp();
      const failed = armed ?? this.#perform(op);
      if (failed === undefined) return;
      const code = errnoName(failed.errno);
      if (armed !== undefined) this.#record(op, code);
      failures.push({
        index,
        errno: failed.errno,
        code,
        message: failed.message ?? errnoText(failed.errno),
      });
    });
    if (lost !== undefined)
      return { kind: 'unknown', reason: `armed: replies lost (${lost.when})` };
    return { kind: 'complete', failures };
  }

  /** Adds a link, up and with carrier, and returns its index. An index is never given twice. */
  addLink(name: string): number {
    this.#lastIndex += 1;
    this.#links.set(this.#lastIndex, { index: this.#lastIndex, name, up: true, carrier: true });
    this.#hints.send({ links: true });
    return this.#lastIndex;
  }

  /** Changes a link. Down takes every route of it away, and its IPv6 addresses; up brings back connected routes alone. */
  setLink(index: number, change: Partial<Omit<FakeLink, 'index'>>): void {
    const before = this.#link(index);
    const after = { ...before, ...change };
    this.#links.set(index, after);
    if (!after.up || !after.carrier) this.neighbours.flush(index);
    if (before.up && !after.up) {
      this.#addresses = this.#addresses.filter((a) => a.device !== index || a.address.family === 4);
      this.#vanish((route) => route.device === index);
    }
    if (!before.up && after.up) {
      for (const address of this.#addresses) if (address.device === index) this.#connect(address);
    }
    this.#hints.send({ links: true });
  }

  /** Deletes a link with its addresses and routes. */
  removeLink(index: number): void {
    this.#links.delete(index);
    this.neighbours.flush(index);
    this.#addresses = this.#addresses.filter((a) => a.device !== index);
    this.#vanish((route) => route.device === index);
    this.#hints.send({ links: true, addresses: true });
  }

  /** Adds `address/length` to a link, with its connected route if the link is up. */
  addAddress(device: number, text: string): void {
    const address = { device, ...interfaceAddress(text) };
    this.#addresses.push(address);
    if (this.#link(device).up) this.#connect(address);
    this.#hints.send({ addresses: true });
  }

  /** Takes an address away. The last IPv4 one takes every IPv4 route of the link with it. */
  removeAddress(device: number, text: string): void {
    const { address, prefix } = interfaceAddress(text);
    const { family } = address;
    const isIt = (a: FakeAddress): boolean =>
      a.device === device && a.address.text === address.text && a.prefix.text === prefix.text;
    this.#addresses = this.#addresses.filter((a) => !isIt(a));
    const left = this.#addresses.filter((a) => a.device === device && a.address.family === family);
    const connected = !left.some((a) => a.prefix.text === prefix.text);
    this.#vanish((route) => {
      if (route.prefix.address.family !== family) return false;
      // IPv4 drops a route with its preferred source; IPv6 keeps the route without one.
      if (family === 4 && route.source?.text === address.text) return true;
      if (route.device !== device) return false;
      if (family === 4 && left.length === 0) return true;
      return connected && route.protocol === PROTOCOL_KERNEL && route.prefix.text === prefix.text;
    });
    if (family === 6) {
      this.#table.replaceEach((r) =>
        r.source?.text === address.text ? { ...r, source: undefined } : r,
      );
    }
    this.#hints.send({ addresses: true });
  }

  /** Puts in a route of somebody else, behind those of the same key. Throws if it is there already. */
  foreignAdd(route: ForeignRoute): KernelRoute {
    const whole = wholeRoute(route);
    if (this.#table.insert(whole, false) !== undefined)
      throw new Error(`is there: ${lineOf(whole, '?')}`);
    this.#hints.route(whole);
    return whole;
  }

  /** Takes away the routes that have all the given fields, whoever owns them, and returns them. */
  foreignDelete(route: ForeignRoute): readonly KernelRoute[] {
    const wanted = Object.entries(route).map(([name, value]) => [name, textOf(value)] as const);
    const gone = this.#table.removeWhere((r) => {
      const fields = new Map(Object.entries(r));
      return wanted.every(([name, value]) => textOf(fields.get(name)) === value);
    });
    for (const each of gone) this.#hints.route(each);
    return gone;
  }

  /** Every route as it truly is, in the kernel's order per prefix (a dump blurs IPv6 protocols). */
  routes(): readonly KernelRoute[] {
    return [...this.#table.all()];
  }

  links(): readonly FakeLink[] {
    return [...this.#links.values()];
  }

  addresses(): readonly FakeAddress[] {
    return this.#addresses;
  }

  /** All routes like `ip route` prints them, a line each. */
  toString(): string {
    return this.routes()
      .map((route) => lineOf(route, this.#links.get(route.device)?.name ?? `if${route.device}`))
      .join('\n');
  }

  #perform(op: RouteOp): { errno: number; message?: string } | undefined {
    const route = kernelRouteOf(op.route);
    if (op.kind === 'delete') {
      const gone = this.#table.deleteExact(op.route);
      this.#record(op, gone === undefined ? 'ESRCH' : 'done', gone);
      if (gone === undefined) return { errno: 3 };
      this.#hints.route(gone);
      return undefined;
    }
    const refused = checkAdd(route, this.#links.get(route.device), this.#addresses);
    if (refused !== undefined) {
      this.#record(op, errnoName(refused.errno));
      return refused;
    }
    const taken = this.#table.insert(route, op.kind === 'add');
    this.#record(op, taken ?? 'done');
    if (taken !== undefined) return { errno: 17 };
    this.#hints.route(route);
    return undefined;
  }

  #record(op: RouteOp, result: string, route = kernelRouteOf(op.route)): void {
    this.journal.push({ kind: op.kind, route, result });
  }

  #link(index: number): FakeLink {
    const link = this.#links.get(index);
    if (link === undefined) throw new Error(`the fake kernel has no link ${index}`);
    return link;
  }

  #connect({ device, address, prefix }: FakeAddress): void {
    const metric = address.family === 6 ? 256 : 0;
    const source = address.family === 4 ? address : undefined;
    const route = wholeRoute({
      prefix,
      device,
      protocol: PROTOCOL_KERNEL,
      metric,
      ...(source && { source }),
    });
    if (this.#table.insert(route, false) === undefined) this.#hints.route(route);
  }

  /** Routes that go with a link or an address: IPv6 tells of each (RTM_DELROUTE), IPv4 tells nobody. */
  #vanish(doomed: (route: KernelRoute) => boolean): void {
    for (const gone of this.#table.removeWhere(doomed)) {
      if (gone.prefix.address.family === 6) this.#hints.route(gone);
    }
  }

  #call<T>(name: string, work: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#enqueue(name, () => {
        try {
          resolve(work());
        } catch (error) {
          reject(error);
        }
      });
    });
  }

  #enqueue(name: string, work: () => void): void {
    this.#queue.push({ name, work });
    if (this.#auto) queueMicrotask(() => this.step());
  }
}
