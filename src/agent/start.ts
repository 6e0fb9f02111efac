/**
 * Starts an agent on the real machine: checks what it needs, opens its ports, runs it, and closes all again.
 * Whatever goes wrong before it runs is one sentence in the log and an error that the command turns into an exit code.
 */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { AgentOptions } from '../config/index.ts';
import { type Clock, type Log, type Random, sentenceOf, systemClock } from '../core/index.ts';
import { type Etcd, openEtcd } from '../etcd/index.ts';
import {
  acquireLock,
  ensureForwarding,
  ForwardRules,
  findUplink,
  machineIdentity,
  machineMark,
  readHostFacts,
  readNeighbourLimits,
  readSubnetFile,
  stayWithUplink,
  systemdNotifier,
  tableOfVrf,
  writeSubnetFile,
} from '../host/index.ts';
import { loadState, loadView, saveState, saveView } from '../lease/index.ts';
import { nativeFirewall, nativeNotify, openRouteDriver, type RouteDriver } from '../route/index.ts';
import { Agent } from './agent.ts';
import { serveHealth } from './health.ts';
import { HostUnusable } from './hostUnusable.ts';
import { openLog } from './log.ts';
import type { AgentPorts, HostPort } from './ports.ts';
import { memoryTidier } from './tidyMemory.ts';

/** Another agent has this network namespace. */
export class OtherAgent extends Error {
  override readonly name = 'OtherAgent';
}

const CAP_NET_ADMIN = 12n;
export const random: Random = Math.random;

/**
 * Runs an agent until `signal` aborts; `onConfirm` is given what takes the operator's word. Rejects with RangeError if
 * an option is wrong, else, after it was logged, with OtherAgent, HostUnusable or whatever went wrong.
 */
export async function runAgent(
  options: AgentOptions,
  version: string,
  signal: AbortSignal,
  onConfirm: (listener: () => void) => void,
): Promise<void> {
  // Whoever read our log has gone (EPIPE): the routes matter more. Without a listener Node and Deno would end here.
  process.stderr.on('error', () => undefined);
  const log = openAgentLog(options);
  log.info(`hostgw ${version} on ${runtime()}`);
  const etcd = openEtcd(etcdOptions(options), systemClock, random, log);
  try {
    await checkRights();
    await withLock(() =>
      withDriver(options, log, async (driver) => {
        const table = await tableOf(options);
        await live({ ...options, table, onConfirm }, { log, etcd, driver }, signal);
        log.info('stopped; routes and subnet stay');
      }),
    );
  } catch (error) {
    log.error(sentenceOf(error));
    throw error;
  } finally {
    await Promise.race([etcd.close(), systemPause(CLOSE_MS)]);
  }
}

/** An etcd that does not answer must not hold up the end. */
export const CLOSE_MS = 300;
export const systemPause = (ms: number): Promise<void> =>
  new Promise((resolve) => void systemClock.at(systemClock.now() + ms, resolve));

/** The log on standard error. */
export function openAgentLog(options: AgentOptions): Log {
  return openLog({
    format: options.logFormat,
    verbosity: options.verbosity,
    secrets: options.etcdPassword === undefined ? [] : [options.etcdPassword],
    wall: systemClock.wall,
    write: (text) => process.stderr.write(text),
    journal: process.env['JOURNAL_STREAM'] !== undefined && options.logFormat === 'text',
  });
}

/** Alone in this network namespace; rejects with OtherAgent if it is not. */
export async function withLock<T>(work: () => Promise<T>): Promise<T> {
  const lock = await acquireLock('agent');
  if (lock.kind === 'taken') {
    const who =
      lock.heldBy === undefined ? 'another hostgw agent' : `hostgw agent with pid ${lock.heldBy}`;
    throw new OtherAgent(`${who} already runs in this network namespace: stop it first`);
  }
  try {
    return await work();
  } finally {
    await lock.release();
  }
}

async function withDriver(
  options: AgentOptions,
  log: Log,
  work: (driver: RouteDriver) => Promise<void>,
): Promise<void> {
  const driver = await openRouteDriver(options.routeDriver, log).catch((error: unknown) => {
    throw new HostUnusable(sentenceOf(error), { cause: error });
  });
  try {
    await work(driver);
  } finally {
    await driver.close();
  }
}

/** The number of our table. */
export async function tableOf({ routeTable }: AgentOptions): Promise<number> {
  if (typeof routeTable === 'number') return routeTable;
  return tableOfVrf(routeTable).catch((error: unknown) => {
    throw new HostUnusable(`--route-table is ${routeTable}: ${sentenceOf(error)}`, {
      cause: error,
    });
  });
}

async function live(
  options: AgentOptions & {
    readonly table: number;
    readonly onConfirm: (listener: () => void) => void;
  },
  opened: { readonly log: Log; readonly etcd: Etcd; readonly driver: RouteDriver },
  signal: AbortSignal,
): Promise<void> {
  const host = hostPort(options, options.table, opened.log, systemClock);
  const tidy = memoryTidier(systemClock, signal);
  const watcher = tidy && { own: () => {}, report: tidy };
  const ports: AgentPorts = {
    ...opened,
    clock: systemClock,
    random,
    host,
    newLeaseId,
    ...(watcher && { watcher }),
  };
  const agent = new Agent(options, ports, signal);
  options.onConfirm(() => agent.confirm());
  const server =
    options.healthzPort === 0
      ? undefined
      : await serveHealth({
          ip: options.healthzIp,
          port: options.healthzPort,
          health: agent.health,
          details: () => agent.details(),
        }).catch((error: unknown) => {
          const at = `${options.healthzIp}:${options.healthzPort}`;
          throw new HostUnusable(`the health server cannot listen on ${at}: ${sentenceOf(error)}`);
        });
  try {
    await agent.run();
    await host.notifier.stopping();
    if (options.removeForwardRules) await removeRules(options, opened.log);
  } finally {
    await server?.close();
  }
}

/** As told: without them peers no longer pass Docker, and strangers are no longer kept out. */
export async function removeRules({ firewallCheckMs }: AgentOptions, log: Log): Promise<void> {
  const rules = new ForwardRules({ log, clock: systemClock, checkMs: firewallCheckMs });
  const left = await rules.remove(AbortSignal.timeout(REMOVE_MS)).catch(sentenceOf);
  if (left === undefined) log.info('forward rules removed');
  else log.warn(left);
}

const REMOVE_MS = 800;

/** This machine. */
export function hostPort(options: AgentOptions, table: number, log: Log, clock: Clock): HostPort {
  const uplinkOptions = {
    iface: options.iface,
    ifaceRegex: options.ifaceRegex,
    ifaceCanReach: options.ifaceCanReach,
    publicIp: options.publicIp,
    publicIpv6: options.publicIpv6,
  };
  const hear = nativeFirewall();
  const rules = new ForwardRules({ log, clock, checkMs: options.firewallCheckMs, hear });
  return {
    identity: machineIdentity,
    table,
    facts: (signal) => readHostFacts(undefined, signal, table),
    uplink: async (facts, current, families) => {
      const asked = { ...uplinkOptions, families, keep: current?.address6 };
      return current === undefined || options.iface.length + options.ifaceRegex.length > 0
        ? findUplink(facts, asked)
        : stayWithUplink(facts, current, asked);
    },
    neighbourLimits: () => readNeighbourLimits(),
    ensureForwarding: (name, families) => ensureForwarding(name, families),
    previousSubnets: () => readSubnetFile(options.subnetFile),
    writeSubnetFile: (file) => writeSubnetFile(options.subnetFile, file),
    loadState: async () => loadState(options.stateDir, 'set-aside', await machineMark()),
    saveState: async (state) => saveState(options.stateDir, state, await machineMark()),
    loadView: () => loadView(options.stateDir, options.etcdPrefix),
    saveView: (view) => saveView(options.stateDir, view),
    forwardRules: options.forwardRules ? rules : undefined,
    notifier: systemdNotifier({
      nativeNotify: nativeNotify(),
      onTrouble: (sentence) => log.warn(sentence),
    }),
  };
}

async function checkRights(): Promise<void> {
  const status = await readFile('/proc/self/status', 'utf8').catch(() => '');
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`);
  if ((effective >> CAP_NET_ADMIN) % 2n === 0n) {
    throw new HostUnusable(
      'changing routes needs root or the capability CAP_NET_ADMIN: run it as root or by hostgw.service',
    );
  }
}

/** 63 random bits: two hosts never choose the same one. */
export const newLeaseId = (): string => String((randomBytes(8).readBigUInt64BE() >> 1n) | 1n);

export function etcdOptions(options: AgentOptions): Parameters<typeof openEtcd>[0] {
  const { etcdCafile, etcdCertfile, etcdKeyfile, etcdUsername, etcdPassword } = options;
  return {
    endpoints: options.etcdEndpoints,
    ...(etcdCafile !== undefined && { caFile: etcdCafile }),
    ...(etcdCertfile !== undefined && { certFile: etcdCertfile }),
    ...(etcdKeyfile !== undefined && { keyFile: etcdKeyfile }),
    ...(etcdUsername !== undefined && { username: etcdUsername }),
    ...(etcdPassword !== undefined && { password: etcdPassword }),
  };
}

function runtime(): string {
  const { bun, deno, node } = process.versions;
  if (bun !== undefined) return `Bun ${bun}`;
  return deno === undefined ? `Node ${node}` : `Deno ${deno}`;
}
