/**
 * A reconciler at work on the real kernel: one link with two networks, gateways that need no asking, a sender that sends
 * to the prefixes without pause. Must be called in a network namespace that may be thrown away.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { run, systemClock } from '../../../src/core/index.ts';
import {
  type ApplyResult,
  type PeerState,
  Reconciler,
  type ReconcilerInput,
  type RouteDriver,
  type RouteOp,
  type RouteReport,
  runReconciler,
} from '../../../src/route/index.ts';
import { openIpDriver } from '../../../src/route/ip/index.ts';
import type { MetricPolicy } from '../../../src/route/metric.ts';
import { openNative } from '../../../src/route/native/index.ts';
import { silentLog } from '../../support/log.ts';
import { address, OURS, prefix } from '../samples.ts';

export const WITHIN = ['10.128.0.0/10', 'fd01::/16'].map(prefix);

export async function ip(words: string, input?: string): Promise<string> {
  const options = input === undefined ? {} : { input };
  const { code, stdout, stderr } = await run('ip', words.split(' ').filter(Boolean), options);
  if (code !== 0) throw new Error(`ip ${words}: ${stderr.trim()}`);
  return stdout;
}

/** The driver of this name on the real kernel. */
export async function openDriver(name: 'native' | 'ip'): Promise<RouteDriver> {
  if (name === 'ip') return openIpDriver({ log: silentLog });
  const opened = openNative();
  if (opened.kind !== 'loaded') throw new Error(opened.reason);
  return opened.driver;
}

export interface SceneOptions {
  readonly driver: 'native' | 'ip';
  readonly table?: number;
  readonly metrics?: MetricPolicy;
  /** Gateways 10.10.x.y, counted from 10.10.0.2, and fd00::2 on: those that packets are sent by. */
  readonly gateways?: number;
  /** What somebody does between our dump and our write. */
  readonly before?: (ops: readonly RouteOp[]) => Promise<void>;
}

export class Scene {
  readonly device: number;
  readonly states = new Map<string, { state: PeerState; reason: string }>();
  /** Every state that was told, in order: `10.128.0.0/24 installed`. */
  readonly told: string[] = [];
  /** Operations that the kernel has carried out. */
  onDone: (op: RouteOp) => void = () => {};
  readonly #stop = new AbortController();
  readonly #driver: RouteDriver;
  readonly send: (input: ReconcilerInput) => void;

  private constructor(device: number, driver: RouteDriver, options: SceneOptions) {
    this.device = device;
    this.#driver = driver;
    const core = new Reconciler({
      protocol: OURS,
      table: options.table ?? 254,
      within: WITHIN,
      random: Math.random,
      ...(options.metrics && { metrics: options.metrics }),
    });
    this.send = runReconciler({
      driver: this.#watched(driver, options.before),
      core,
      clock: systemClock,
      random: Math.random,
      signal: this.#stop.signal,
      onReport: (report) => this.#report(report),
    });
  }

  static async #open(options: SceneOptions): Promise<Scene> {
    await ip('link set lo up');
    await ip('link add name eth0 type veth peer name peer0');
    await ip('link set eth0 addrgenmode none up');
    await ip('link set peer0 addrgenmode none up');
    await ip('addr add 10.10.0.1/16 dev eth0');
    await ip('addr add fd00::1/64 dev eth0 nodad');
    const lines = Array.from({ length: options.gateways ?? 8 }, (_, i) =>
      [gateway4(i), gateway6(i)].map(
        (via) => `neigh add ${via} lladdr 02:00:00:00:00:01 dev eth0 nud permanent\n`,
      ),
    );
    await ip('-batch -', lines.flat().join(''));
    const device = Number(/^(\d+):/.exec(await ip('-o link show dev eth0'))?.[1]);
    return new Scene(device, await openDriver(options.driver), options);
  }

  /** Opens a scene for `use`, and takes it away whatever comes of it. */
  static async with(options: SceneOptions, use: (scene: Scene) => Promise<void>): Promise<void> {
    const scene = await Scene.#open(options);
    try {
      await use(scene);
    } finally {
      await scene.close();
    }
  }

  /** Gateways by prefix; undefined: nobody wants it. */
  want(routes: Readonly<Record<string, string | undefined>>): void {
    const changes = Object.entries(routes).map(([key, via]) => ({
      prefix: prefix(key),
      route: via === undefined ? undefined : { gateway: address(via), device: this.device },
    }));
    this.send({ type: 'desired', changes, complete: true });
  }

  /** The routes inside WITHIN: `10.128.0.0/24 via 10.10.0.2 proto 77 metric 0`. */
  async routes(table = 254): Promise<string[]> {
    const rows = await this.#driver.dump({ table, protocol: OURS, within: WITHIN });
    return rows.map(
      (r) => `${r.prefix.text} via ${r.gateway?.text} proto ${r.protocol} metric ${r.metric}`,
    );
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#driver.close();
    await ip('link del eth0');
    for (const family of ['-4', '-6']) await ip(`${family} route flush table all`);
  }

  #report(report: RouteReport): void {
    if (report.type === 'removed') this.states.delete(report.prefix.text);
    if (report.type !== 'peer') return;
    this.states.set(report.prefix.text, report);
    this.told.push(`${report.prefix.text} ${report.state}`);
  }

  #watched(driver: RouteDriver, before: SceneOptions['before']): RouteDriver {
    const apply = async (ops: readonly RouteOp[]): Promise<ApplyResult> => {
      await before?.(ops);
      const result = await driver.apply(ops);
      const failed = new Set(
        result.kind === 'complete' ? result.failures.map(({ index }) => index) : ops.keys(),
      );
      for (const [index, op] of ops.entries()) if (!failed.has(index)) this.onDone(op);
      return result;
    };
    return {
      name: driver.name,
      dump: (filter) => driver.dump(filter),
      apply,
      listen: (filter, onHint) => driver.listen(filter, onHint),
      close: () => driver.close(),
    };
  }
}

export const gateway4 = (i: number): string => `10.10.${(i + 2) >> 8}.${(i + 2) & 255}`;
export const gateway6 = (i: number): string => `fd00::${(i + 2).toString(16)}`;
export const prefix4 = (i: number): string => `10.${128 + (i >> 8)}.${i & 255}.0/24`;
export const prefix6 = (i: number): string => `fd01:0:0:${(i + 1).toString(16)}::/64`;

export interface Sent {
  readonly sent: number;
  /** By errno name. */
  readonly refused: Readonly<Record<string, number>>;
  /** OutNoRoutes of both families, from this sender's start to its end. */
  readonly noRoute: number;
}

export interface Sender {
  stop(): Promise<Sent>;
}

/** Sends UDP to an address of each prefix, in turn, in a process of its own, until it is stopped. */
export async function startSender(prefixes: readonly string[]): Promise<Sender> {
  const targets = prefixes.map((text) =>
    text.includes(':') ? text.replace('::/64', '::7') : text.replace('.0/24', '.7'),
  );
  const file = fileURLToPath(new URL('sender.ts', import.meta.url));
  const words = process.versions['deno'] === undefined ? [file] : ['run', '-A', file];
  // Deno asks for a newer Deno, and finds no route.
  const env = { ...process.env, DENO_NO_UPDATE_CHECK: '1' };
  const child = spawn(process.execPath, words, { env, stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout });
  child.stdin.write(`${JSON.stringify(targets)}\n`);
  const before = outNoRoutes();
  await once(lines, 'line');
  return {
    async stop() {
      const last = once(lines, 'line');
      child.stdin.end();
      const [line] = await last;
      const { sent, refused } = JSON.parse(String(line));
      return { sent, refused, noRoute: outNoRoutes() - before };
    },
  };
}

/** Packets that found no route, of this network namespace. */
function outNoRoutes(): number {
  const [names = '', values = ''] = readFileSync('/proc/net/snmp', 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('Ip: '));
  const at = names.split(' ').indexOf('OutNoRoutes');
  const v6 = /^Ip6OutNoRoutes\s+(\d+)$/m.exec(readFileSync('/proc/net/snmp6', 'utf8'))?.[1];
  return Number(values.split(' ')[at]) + Number(v6);
}
