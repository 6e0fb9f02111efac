/**
 * The route driver over iproute2: `ip -force -batch -` to write, `ip -j` to read, `ip monitor` to listen.
 * For hosts where the addon is missing: slower, same behaviour.
 */
import type { Clock, Log, Random } from '../../core/index.ts';
import { systemClock } from '../../core/index.ts';
import type { Family } from '../../ip/index.ts';
import { containsPrefix } from '../../ip/index.ts';
import { checkOps } from '../checkOps.ts';
import type { NeighbourDriver } from '../neighbours/types.ts';
import {
  type ApplyResult,
  type DumpFilter,
  type Hint,
  type KernelRoute,
  type RouteDriver,
  RouteDriverError,
  type RouteOp,
} from '../types.ts';
import { batchInput, partsOf, resultOfParts } from './batch.ts';
import { checkIproute2, type IpCommand, ipCommand } from './command.ts';
import { type Links, type Memory, parseLinks, parseRoutes, sameLinks } from './dump.ts';
import { Ears } from './ears.ts';
import type { MonitorOptions } from './monitor.ts';
import { ipNeighbours } from './neighbours.ts';

export interface IpDriverOptions {
  readonly log: Log;
  /** Default: the machine's. */
  readonly clock?: Clock;
  readonly random?: Random;
  /** iproute2's `ip`: a name on PATH or a path. Default `ip`. */
  readonly file?: string;
}

/** How often a dump that links or routes changed under is begun again before it counts as failed. */
const DUMP_TRIES = 5;
/** From so many operations on they name devices by name, and whether names changed meanwhile is looked at afterwards. */
const NAMED_MIN = 64;
/** From so many on routes are left unheard meanwhile: to end a monitor and to start one costs about as much as 300. */
const UNHEARD_MIN = 1000;

/** Rejects with RouteDriverError, which names the cure, where there is no iproute2. */
export async function openIpDriver(options: IpDriverOptions): Promise<RouteDriver> {
  const file = options.file ?? 'ip';
  const ip = ipCommand(file);
  const version = await checkIproute2(ip);
  options.log.debug(`ip driver: iproute2 ${version}`);
  return new IpDriver(ip, await monitorCommand(file), options);
}

/** PR_SET_PDEATHSIG ends the monitor with us even after kill -9; without setpriv it ends at its next event (SIGPIPE). */
async function monitorCommand(file: string): Promise<MonitorOptions['command']> {
  const tie = ['--pdeathsig', 'KILL', '--', file] as const;
  const works = await ipCommand('setpriv')([...tie, '-V']).then(
    ({ code }) => code === 0,
    () => false,
  );
  return works ? ['setpriv', ...tie] : [file];
}

class IpDriver implements RouteDriver {
  readonly name = 'ip';
  readonly neighbours: NeighbourDriver;
  readonly #ip: IpCommand;
  readonly #command: MonitorOptions['command'];
  readonly #options: IpDriverOptions;
  /** Those that listen, and at most one pair that is about to take their place. */
  readonly #ears = new Set<Ears>();
  /** Known links, while a monitor tells when they change. */
  #links: Links | undefined;
  readonly #memories: Readonly<Record<Family, Memory>> = {
    4: { rows: new Map() },
    6: { rows: new Map() },
  };
  #turn: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(ip: IpCommand, command: MonitorOptions['command'], options: IpDriverOptions) {
    this.#ip = ip;
    this.#command = command;
    this.#options = options;
    this.neighbours = ipNeighbours({
      ip,
      links: async () => this.#links ?? (await this.#readLinks()),
      word: deviceName,
      inTurn: (work) => this.#inTurn(work),
    });
  }

  async dump(filter: DumpFilter): Promise<readonly KernelRoute[]> {
    this.#refuseClosed();
    // `ip` prints device names, and names can be changed and swapped: only between two equal readings of the
    // links does a name stand for one index.
    let before = this.#links ?? (await this.#readLinks());
    for (let attempt = 1; attempt <= DUMP_TRIES; attempt += 1) {
      const [v4, v6] = await Promise.all([
        this.#show(4, filter.table),
        this.#show(6, filter.table),
      ]);
      const reading = this.#readLinks();
      // What was printed is parsed while `ip` starts; it counts only if the names stand for the same afterwards.
      const links = before;
      const parsing = new Promise<readonly KernelRoute[]>((resolve) =>
        resolve(this.#parse(v4 ?? '', v6 ?? '', filter, links)),
      );
      const [after, routes] = await Promise.allSettled([reading, parsing]);
      if (after.status === 'rejected') throw after.reason;
      before = after.value;
      if (!sameLinks(links, before) || v4 === undefined || v6 === undefined) continue;
      if (routes.status === 'rejected') throw routes.reason;
      return routes.value;
    }
    throw new RouteDriverError(`links or routes changed during each of ${DUMP_TRIES} dumps`);
  }

  #parse(v4: string, v6: string, filter: DumpFilter, links: Links): readonly KernelRoute[] {
    const routes = parseRoutes(v4, 4, filter.table, links, this.#memories[4]);
    const rest = parseRoutes(v6, 6, filter.table, links, this.#memories[6]);
    return routes.concat(rest).filter((route) => sees(filter, route));
  }

  async apply(ops: readonly RouteOp[]): Promise<ApplyResult> {
    this.#refuseClosed();
    checkOps(ops);
    if (ops.length === 0) return { kind: 'complete', failures: [] };
    return this.#inTurn(async () => {
      const links = this.#links ?? (await this.#readLinks());
      const named = ops.length >= NAMED_MIN;
      const word = named ? quickName : deviceName;
      const result = await this.#batch(ops, (index) => word(index, links));
      if (!named || sameLinks(links, await this.#readLinks())) return result;
      return { kind: 'unknown', reason: 'links changed their names while routes were written' };
    });
  }

  async #batch(ops: readonly RouteOp[], word: (index: number) => string): Promise<ApplyResult> {
    const parts = partsOf(ops);
    const inputs = parts.map((part) => batchInput(part, word));
    const pausing = ops.length < UNHEARD_MIN ? [] : [...this.#ears];
    for (const ears of pausing) ears.pause();
    const writing = inputs.map((input) => this.#ip(['-force', '-batch', '-'], input));
    try {
      return resultOfParts(parts, await Promise.all(writing));
    } finally {
      // Where one could not be started, the other is still at work.
      await Promise.allSettled(writing);
      for (const ears of pausing) ears.resume();
    }
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    this.#refuseClosed();
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => {});
    return done;
  }

  async listen(filter: DumpFilter, onHint: (hint: Hint) => void): Promise<void> {
    this.#refuseClosed();
    const previous = [...this.#ears];
    const { clock = systemClock, random = Math.random, log } = this.#options;
    const tell = (hint: Hint): void => {
      if (hint.links) this.#links = undefined;
      if (!this.#closed) onHint(hint);
    };
    const ears = new Ears({ command: this.#command, clock, random, log, filter, onHint: tell });
    this.#ears.add(ears);
    try {
      await ears.start();
    } catch (error) {
      this.#ears.delete(ears);
      throw error;
    }
    for (const old of previous) {
      this.#ears.delete(old);
      await old.close();
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#ears].map((ears) => ears.close()));
    await this.#turn;
  }

  async #readLinks(): Promise<Links> {
    const { code, stdout, stderr } = await this.#ip(['-N', '-j', 'link', 'show']);
    if (code !== 0) throw new RouteDriverError(`ip link show failed: ${saidBy(stderr, code)}`);
    const links = parseLinks(stdout);
    if (this.#ears.size > 0) this.#links = links;
    return links;
  }

  /** The routes of one family as JSON; undefined if they changed while the kernel was telling them. */
  async #show(family: Family, table: number): Promise<string | undefined> {
    const args = [`-${family}`, '-N', '-j', 'route', 'show', 'table', String(table)];
    const { code, stdout, stderr } = await this.#ip(args);
    if (stderr.includes('Dump was interrupted')) return undefined;
    if (code === 0) return stdout;
    // The kernel makes a table with its first route.
    if (stderr.includes('FIB table does not exist')) return '[]';
    throw new RouteDriverError(`ip route show failed: ${saidBy(stderr, code)}`);
  }

  #refuseClosed(): void {
    if (this.#closed) throw new RouteDriverError('the ip driver is closed');
  }
}

/** The device's own name where `ip` can take it, which costs half as much: `ip` asks the kernel about `if7` on each line. */
function quickName(index: number, links: Links): string {
  for (const [name, other] of links) if (other === index && PLAIN.test(name)) return name;
  return deviceName(index, links);
}

/** Nothing that a batch's words or `ip` could take for something else. */
const PLAIN = /^(?!if\d)[A-Za-z][\w.-]*$/;

/**
 * The word after `dev`. `ip` takes `if7` for index 7, which no renaming can turn into another device, unless some
 * other device bears just that name.
 */
function deviceName(index: number, links: Links): string {
  const byIndex = `if${index}`;
  if ((links.get(byIndex) ?? index) === index) return byIndex;
  for (const [name, other] of links) if (other === index) return name;
  throw new RouteDriverError(
    `no way to name device ${index} to ip: another device is called ${byIndex}`,
  );
}

function sees(filter: DumpFilter, route: KernelRoute): boolean {
  if (route.protocol === filter.protocol) return true;
  return filter.within.some((outer) => containsPrefix(outer, route.prefix));
}

function saidBy(stderr: string, code: number | null): string {
  return stderr.trim().split('\n')[0] || `status ${code ?? 'killed'}`;
}
