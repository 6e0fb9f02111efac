/**
 * The dry run: a whole agent on ports that read for real and write nowhere, until it is at rest; then what it would have
 * written, as lines. Nothing changes: not in the kernel, not in etcd, not on disk; it may run beside an agent.
 */
import type { AgentOptions } from '../config/index.ts';
import { type Cancel, type Log, sentenceOf, systemClock } from '../core/index.ts';
import { type Etcd, openEtcd } from '../etcd/index.ts';
import { type HostFacts, machineMark, subnetFileSays } from '../host/index.ts';
import { loadState, loadView, type OwnStatus } from '../lease/index.ts';
import { openRouteDriver, type Rehearsal, type RouteReport, rehearse } from '../route/index.ts';
import { Agent } from './agent.ts';
import { HostUnusable } from './hostUnusable.ts';
import { type PeerNews, planLines } from './planText.ts';
import type { AgentPorts, HostPort } from './ports.ts';
import {
  CLOSE_MS,
  etcdOptions,
  hostPort,
  newLeaseId,
  openAgentLog,
  random,
  systemPause,
  tableOf,
} from './start.ts';

/** There is no plan: etcd or this host could not be read in time. */
export class NoPlan extends Error {
  override readonly name = 'NoPlan';
}

/** What our own subnet is on its way to; of all others there is nothing more to wait for. */
const ON_ITS_WAY: readonly OwnStatus[] = ['choosing', 'creating', 'recreating'];

/** So long after the last news it is at rest. */
const CALM_MS = 20;

/** What was noted instead of being done. */
interface Notes {
  readonly warnings: Set<string>;
  /** E.g. `write etcd key /coreos.com/network/subnets/10.100.3.0-24`. */
  readonly etcdKeys: Set<string>;
  readonly files: Set<string>;
  readonly peers: Map<string, PeerNews>;
  facts: HostFacts | undefined;
  hold: { readonly count: number; readonly of: number } | undefined;
  own: { readonly status: OwnStatus; readonly sentence: string } | undefined;
  settled: boolean;
  /** What our subnet needs on this host has been looked at. */
  ready: boolean;
  /** Called for each. */
  onNews: () => void;
}

/**
 * Resolves to the plan, a line each. Rejects with RangeError (an option is wrong), HostUnusable or NoPlan, each a sentence.
 */
export async function dryRun(options: AgentOptions, signal: AbortSignal): Promise<string[]> {
  const notes: Notes = {
    warnings: new Set(),
    etcdKeys: new Set(),
    files: new Set(),
    peers: new Map(),
    facts: undefined,
    hold: undefined,
    own: undefined,
    settled: false,
    ready: false,
    onNews: () => {},
  };
  const log = notingLog(options, notes);
  const etcd = openEtcd(etcdOptions(options), systemClock, random, log);
  try {
    const table = await tableOf(options);
    const driver = await openRouteDriver(options.routeDriver, log).catch((error: unknown) => {
      throw new HostUnusable(sentenceOf(error), { cause: error });
    });
    try {
      const isUp = (device: number): boolean =>
        notes.facts?.links.some(({ index, up }) => index === device && up) ?? true;
      const rehearsal = rehearse(driver, isUp, () => {
        notes.settled = false;
      });
      const host = readingHost(options, hostPort(options, table, log, systemClock), notes);
      return await rest(options, { log, host, etcd, rehearsal }, notes, signal);
    } finally {
      await driver.close();
    }
  } finally {
    await Promise.race([etcd.close(), systemPause(CLOSE_MS)]);
  }
}

/** Runs the agent until there is nothing more to wait for. */
async function rest(
  options: AgentOptions,
  given: { log: Log; host: HostPort; etcd: Etcd; rehearsal: Rehearsal },
  notes: Notes,
  signal: AbortSignal,
): Promise<string[]> {
  const { rehearsal, host } = given;
  const end = new AbortController();
  const ports: AgentPorts = {
    clock: systemClock,
    random,
    log: given.log,
    etcd: readingEtcd(given.etcd, notes),
    driver: rehearsal.driver,
    host,
    newLeaseId,
    watcher: {
      own(status, sentence) {
        notes.own = { status, sentence };
        notes.onNews();
      },
      report(report) {
        noteReport(notes, report);
        notes.onNews();
      },
    },
  };
  const agent = new Agent(options, ports, end.signal);
  const isDone = (): boolean => {
    const status = notes.own?.status;
    if (status === undefined || ON_ITS_WAY.includes(status)) return false;
    if (status === 'waiting') return !agent.choosing;
    return notes.settled && (status !== 'held' || notes.ready);
  };
  const done = new Promise<void>((resolve) => {
    // What was just told may lead to more at once: look when that has passed.
    const again = (): void => {
      if (isDone()) resolve();
    };
    notes.onNews = () => {
      if (isDone()) systemClock.at(systemClock.now() + CALM_MS, again);
    };
  });
  let cancel: Cancel | undefined;
  const late = new Promise<never>((_, reject) => {
    const fail = (why: string): void => reject(new NoPlan(`${why}${troubleOf(agent, notes)}`));
    const seconds = options.timeoutMs / 1000;
    const inTime = (): void => fail(`no plan within ${seconds} s (--timeout)`);
    cancel = systemClock.at(systemClock.now() + options.timeoutMs, inTime);
    signal.addEventListener('abort', () => fail('interrupted'), { once: true });
  });
  try {
    await Promise.race([done, late, agent.run().then(() => late)]);
  } finally {
    cancel?.();
    end.abort();
  }
  return planLines({ ...notes, options, rehearsal, table: host.table, subnet: agent.subnet });
}

/** Keeps of what the reconciler reports what holds now. */
export function noteReport(
  notes: Pick<Notes, 'peers' | 'hold' | 'settled'>,
  report: RouteReport,
): void {
  if (report.type === 'peer') notes.peers.set(report.prefix.text, report);
  else if (report.type === 'removed') notes.peers.delete(report.prefix.text);
  else if (report.type === 'hold') notes.hold = report;
  else if (report.type === 'holdCleared') notes.hold = undefined;
  else if (report.type === 'settled') notes.settled ||= report.complete;
}

/** What keeps an agent waiting, by condition. */
const OBSTACLES = ['uplink', 'host', 'etcd', 'routes-dump'];

/** What stands in the way, after a colon; the last warning where no condition says it. */
function troubleOf(agent: Agent, { warnings, own }: Notes): string {
  const condition = agent.health.conditions.find(({ code }) => OBSTACLES.includes(code));
  const said = condition?.sentence ?? [...warnings].at(-1) ?? own?.sentence;
  return said === undefined ? '' : `: ${said}`;
}

function notingLog(options: AgentOptions, { warnings }: Notes): Log {
  const shown = options.verbosity > 0 ? openAgentLog(options) : undefined;
  const warn = (sentence: string): void => void warnings.add(sentence);
  return {
    debug: (sentence, fields) => shown?.debug(sentence, fields),
    info: (sentence, fields) => shown?.info(sentence, fields),
    warn,
    error: warn,
  };
}

/** Everything read is real; what would be written is noted and counts as done. */
function readingEtcd(etcd: Etcd, { etcdKeys }: Notes): Etcd {
  return {
    list: (prefix) => etcd.list(prefix),
    get: (key) => etcd.get(key),
    watch: (prefix, feed, signal, saved) => etcd.watch(prefix, feed, signal, saved),
    status: () => etcd.status(),
    async transact({ writes }) {
      for (const { type, key } of writes)
        etcdKeys.add(`${type === 'put' ? 'write' : 'delete'} etcd key ${key}`);
      // No real view may be newer: it would show the key as it was.
      return { succeeded: true, revision: Number.MAX_SAFE_INTEGER };
    },
    grant: async (_, ttlSeconds) => ttlSeconds,
    keepAlive: async () => 24 * 60 * 60,
    revoke: async () => {},
    close: async () => {},
  };
}

function readingHost(options: AgentOptions, host: HostPort, notes: Notes): HostPort {
  return {
    ...host,
    async facts(signal) {
      notes.facts = await host.facts(signal);
      return notes.facts;
    },
    loadState: async () => loadState(options.stateDir, 'leave', await machineMark()),
    saveState: async () => {},
    loadView: () => loadView(options.stateDir, options.etcdPrefix, 'leave'),
    saveView: async () => {},
    async writeSubnetFile(file) {
      const same = await subnetFileSays(options.subnetFile, file);
      if (!same) notes.files.add(options.subnetFile);
      return false;
    },
    ensureForwarding: async () => ({ kind: 'on', changes: [] }),
    forwardRules: undefined,
    notifier: {
      async ready() {
        notes.ready = true;
        notes.onNews();
      },
      status: async () => {},
      stopping: async () => {},
    },
  };
}
