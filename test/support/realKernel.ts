/**
 * The real kernel of this network namespace with the interface of the fake one, for the model: every call is done when it
 * returns (iproute2, one process a call). Whose an IPv6 sibling is no dump tells, so that is kept in a book of our own.
 */
import { spawnSync } from 'node:child_process';
import { errnoName, errnoText } from '../../src/route/errno.ts';
import { batchInput, batchResult } from '../../src/route/ip/batch.ts';
import { parseRoutes } from '../../src/route/ip/dump.ts';
import {
  type ApplyResult,
  type DumpFilter,
  type KernelRoute,
  type OpFailure,
  type RouteDriver,
  RouteDriverError,
  type RouteOp,
} from '../../src/route/types.ts';
import { FakeFailures } from './fakeFailures.ts';
import { FakeHints } from './fakeHints.ts';
import type { FakeLink } from './fakeNexthop.ts';
import { type ForeignRoute, wholeRoute } from './fakeRoute.ts';
import { sees, storedMetric } from './fakeTable.ts';

const nexthop = (r: Pick<KernelRoute, 'prefix' | 'gateway' | 'device' | 'metric'>): string =>
  `${r.prefix.text} ${r.gateway?.text} ${r.device} ${storedMetric(r.prefix, r.metric)}`;

export class RealKernel {
  readonly failures = new FakeFailures();
  readonly #queue: (() => void)[] = [];
  readonly #hints = new FakeHints((work) => this.#queue.push(work));
  readonly #links = new Map<number, FakeLink>();
  /** Protocols of IPv6 routes by nexthop, of which there is one whoever owns it. */
  readonly #owners = new Map<string, number>();
  /** One object for each row, so that it can be seen which ones stayed. */
  readonly #interned = new Map<string, KernelRoute>();
  #shown: readonly KernelRoute[] | undefined;

  constructor() {
    this.#must('link set lo up');
  }

  close(): void {
    for (const { name } of this.#links.values()) this.#must(`link del ${name}`);
    for (const family of ['-4', '-6']) this.#must(`${family} route flush table all`);
  }

  /** For listening alone: the model dumps and applies by itself. */
  driver(): RouteDriver {
    const refuse = async (): Promise<never> => {
      throw new RouteDriverError('the model dumps and applies by itself');
    };
    return {
      name: 'real',
      dump: refuse,
      apply: refuse,
      listen: async (filter, onHint) => void this.#hints.listen(filter, onHint),
      close: async () => {},
    };
  }

  step(): string | undefined {
    const work = this.#queue.shift();
    work?.();
    return work && 'hint';
  }

  addLink(name: string): number {
    this.#must(`link add name ${name} type veth peer name to-${name}`);
    this.#must(`link set ${name} addrgenmode none up`);
    this.#must(`link set to-${name} addrgenmode none up`);
    const index = Number(/^(\d+):/.exec(this.#must(`-o link show dev ${name}`))?.[1]);
    this.#links.set(index, { index, name, up: true, carrier: true });
    this.#awaitState(name, 'up');
    this.#hints.send({ links: true });
    return index;
  }

  setLink(index: number, change: Partial<Omit<FakeLink, 'index'>>): void {
    const link = { ...this.#link(index), ...change };
    this.#links.set(index, link);
    if (change.carrier !== undefined)
      this.#must(`link set to-${link.name} ${change.carrier ? 'up' : 'down'}`);
    if (change.up !== undefined) this.#must(`link set ${link.name} ${change.up ? 'up' : 'down'}`);
    // The kernel flags routes as linkdown a moment after the carrier went.
    if (link.up) this.#awaitState(link.name, link.carrier ? 'up' : 'lowerlayerdown');
    this.#hints.send({ links: true });
  }

  links(): readonly FakeLink[] {
    return [...this.#links.values()];
  }

  addAddress(device: number, text: string): void {
    const nodad = text.includes(':') ? 'nodad' : '';
    this.#must(`addr add ${text} dev ${this.#link(device).name} ${nodad}`);
    this.#hints.send({ addresses: true });
  }

  /** No address, no error, as in the fake kernel. */
  removeAddress(device: number, text: string): void {
    this.#run(`addr del ${text} dev ${this.#link(device).name}`);
    this.#hints.send({ addresses: true });
  }

  foreignAdd(route: ForeignRoute): KernelRoute {
    const whole = wholeRoute(route);
    this.#must(`route append ${this.#words(whole)}`);
    if (whole.prefix.address.family === 6) this.#owners.set(nexthop(whole), whole.protocol);
    this.#hints.route(whole);
    return whole;
  }

  foreignDelete(route: ForeignRoute): readonly KernelRoute[] {
    const { prefix, protocol } = route;
    const before = this.routes();
    const words = `route del ${prefix.text}${protocol === undefined ? '' : ` proto ${protocol}`}`;
    while (this.#run(words).code === 0);
    const left = new Set(this.routes());
    const gone = before.filter((row) => !left.has(row));
    for (const each of gone) this.#hints.route(each);
    return gone;
  }

  routes(): readonly KernelRoute[] {
    return this.#read().map((row) => {
      if (row.prefix.address.family === 4 || row.gateway === undefined) return row;
      const protocol = this.#owners.get(nexthop(row)) ?? row.protocol;
      return this.#intern({ ...row, protocol });
    });
  }

  dumpNow(filter: DumpFilter): readonly KernelRoute[] {
    if (this.failures.take('dump')) throw new RouteDriverError('armed: dump failed');
    return this.#read().filter((row) => sees(filter, row));
  }

  applyNow(ops: readonly RouteOp[]): ApplyResult {
    if (this.failures.take('apply')) throw new RouteDriverError('armed: nothing was sent');
    const lost = this.failures.take('unknown');
    const reached =
      lost === undefined
        ? ops.length
        : { before: 0, half: ops.length >> 1, after: ops.length }[lost.when];
    const failures: OpFailure[] = [];
    const sent: number[] = [];
    for (let index = 0; index < reached; index += 1) {
      const armed = this.failures.takeOp();
      if (armed === undefined) sent.push(index);
      else {
        const { errno, message = errnoText(errno) } = armed;
        failures.push({ index, errno, code: errnoName(errno), message });
      }
    }
    failures.push(...this.#send(ops, sent));
    if (lost !== undefined) return { kind: 'unknown', reason: `armed: lost (${lost.when})` };
    return { kind: 'complete', failures: failures.sort((a, b) => a.index - b.index) };
  }

  toString(): string {
    return this.#must('-N route show table 254') + this.#must('-6 -N route show table 254');
  }

  /** Sends the operations of these indexes; gives the failures by these indexes. */
  #send(ops: readonly RouteOp[], indexes: readonly number[]): OpFailure[] {
    const batch = indexes.flatMap((index) => ops[index] ?? []);
    if (batch.length === 0) return [];
    const input = batchInput(batch, (device) => this.#link(device).name);
    const result = batchResult(batch, this.#run('-force -batch -', input));
    if (result.kind === 'unknown') throw new Error(result.reason);
    const failed = new Map(result.failures.map((failure) => [failure.index, failure]));
    batch.forEach(({ kind, route }, at) => {
      if (failed.has(at)) return;
      if (kind !== 'delete' && route.prefix.address.family === 6)
        this.#owners.set(nexthop(route), route.protocol);
      this.#hints.route(wholeRoute(route));
    });
    return [...failed.values()].map((failure) => ({
      ...failure,
      index: indexes[failure.index] ?? failure.index,
    }));
  }

  #read(): readonly KernelRoute[] {
    const names = new Map(Array.from(this.#links.values(), ({ name, index }) => [name, index]));
    this.#shown ??= ([4, 6] as const).flatMap((family) => {
      const { code, stdout } = this.#run(`-${family} -N -j route show table 254`, undefined, false);
      return parseRoutes(code === 0 ? stdout : '[]', family, 254, names);
    });
    return this.#shown.map((row) => this.#intern(row));
  }

  #intern(row: KernelRoute): KernelRoute {
    const { prefix, gateway, source, ...rest } = row;
    const key = JSON.stringify([prefix.text, gateway?.text, source?.text, rest]);
    const known = this.#interned.get(key);
    if (known !== undefined) return known;
    this.#interned.set(key, row);
    return row;
  }

  #words(route: KernelRoute): string {
    const via = route.gateway === undefined ? '' : `via ${route.gateway.text}`;
    const dev = `dev ${this.#link(route.device).name}`;
    const tos = route.tos === 0 ? '' : `tos ${route.tos}`;
    return `${route.prefix.text} ${tos} ${via} ${dev} proto ${route.protocol} metric ${route.metric}`;
  }

  #awaitState(name: string, state: string): void {
    for (let i = 0; i < 2000; i += 1)
      if (JSON.parse(this.#must(`-j link show dev ${name}`))[0].operstate.toLowerCase() === state)
        return;
    throw new Error(`${name} is not ${state}`);
  }

  #link(index: number): FakeLink {
    const link = this.#links.get(index);
    if (link === undefined) throw new Error(`there is no link ${index}`);
    return link;
  }

  #must(words: string): string {
    const { code, stdout, stderr } = this.#run(words);
    if (code !== 0) throw new Error(`ip ${words}: ${stderr.trim()}`);
    return stdout;
  }

  #run(words: string, input?: string, changes = true) {
    if (changes) this.#shown = undefined;
    const { status, stdout, stderr } = spawnSync('ip', words.split(' ').filter(Boolean), {
      encoding: 'utf8',
      env: { ...process.env, LC_ALL: 'C' },
      ...(input !== undefined && { input }),
    });
    return { code: status, stdout, stderr };
  }
}
