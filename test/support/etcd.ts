/**
 * A real etcd of one member on free loopback ports, its data on tmpfs; it dies with the test process
 * and leaves nothing behind. Can be killed, restarted on its data, or wiped.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/core/index.ts';
import { type Etcd, type EtcdOptions, openEtcd } from '../../src/etcd/index.ts';
import { silentLog } from './log.ts';
import { findProgram } from './needs.ts';
import { until } from './until.ts';

export interface TestEtcdOptions {
  /** More arguments for etcd, e.g. for TLS. */
  readonly args?: readonly string[];
  readonly scheme?: 'http' | 'https';
  /** For a cluster: the port for its peers, which the other members must know. */
  readonly peerPort?: number;
  /** Whether to wait until it answers; not possible without a certificate. Default true. */
  readonly wait?: boolean;
}

export interface TestEtcd {
  readonly endpoint: string;
  readonly port: number;
  /** A call by etcd's own JSON gateway, e.g. `auth/enable`: what a test does from outside, with no code of ours. */
  ask(verb: string, body: object): Promise<Answer>;
  /** A session of ours; closed with the etcd. */
  open(options?: Partial<EtcdOptions>): Etcd;
  put(key: string, value: string): Promise<number>;
  delete(key: string): Promise<number>;
  /** Forgets the history up to the present revision. */
  compact(): Promise<void>;
  /** kill -9. */
  kill(): Promise<void>;
  /** Starts it again on the same ports: with its data, or as a new and empty one with the same name and addresses. */
  restart(data?: 'kept' | 'wiped'): Promise<void>;
  /** Ends it and removes its data. */
  stop(): Promise<void>;
}

/** What the tests read of a gateway's answer: int64 are strings there. */
export interface Answer {
  readonly header?: { readonly revision: string };
  readonly kvs?: readonly { readonly key: string; readonly value: string }[];
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}

/**
 * A port that was free a moment ago, below those that the kernel gives to connections: between now and its use, and
 * while its server is down, no connection of another test takes it.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(10_000, 30_000);
    const server = createServer();
    const free = once(server, 'listening').then(
      () => true,
      () => false,
    );
    server.listen(port, '127.0.0.1');
    if (!(await free)) continue;
    const closed = once(server, 'close');
    server.close();
    await closed;
    return port;
  }
}

function launch(args: readonly string[]): ChildProcess {
  const etcd = findProgram('etcd');
  if (etcd === undefined) throw new Error('no etcd: see needs("etcd")');
  const setpriv = findProgram('setpriv');
  const [file, all] =
    setpriv === undefined ? [etcd, args] : [setpriv, ['--pdeathsig', 'KILL', '--', etcd, ...args]];
  return spawn(file, all, { stdio: ['ignore', 'ignore', 'ignore'] });
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

export async function startEtcd(options: TestEtcdOptions = {}): Promise<TestEtcd> {
  const scheme = options.scheme ?? 'http';
  const port = await freePort();
  const peerPort = options.peerPort ?? (await freePort());
  const endpoint = `${scheme}://127.0.0.1:${port}`;
  const peer = `http://127.0.0.1:${peerPort}`;
  const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'hostgw-etcd-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const args = [
    ...['--name', 'test', '--data-dir', join(folder, 'data')],
    ...['--listen-client-urls', endpoint, '--advertise-client-urls', endpoint],
    ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer],
    ...['--initial-cluster', `test=${peer}`, ...(options.args ?? [])],
  ];
  const ask = async (verb: string, body: object): Promise<Answer> => {
    const request = { method: 'POST', body: JSON.stringify(body) };
    const response = await fetch(`${endpoint}/v3/${verb}`, request);
    const text = await response.text();
    if (!response.ok) throw new Error(`${verb}: ${text}`);
    return JSON.parse(text) as Answer;
  };
  const revisionOf = (answer: Answer): number => Number(answer.header?.revision);
  const sessions: Etcd[] = [];
  let child = launch(args);
  const answers = async (): Promise<void> => {
    if (options.wait === false || scheme === 'https') return;
    await until(`etcd answers at ${endpoint}`, () => {
      if (child.exitCode !== null) throw new Error(`etcd ended with status ${child.exitCode}`);
      return fetch(`${endpoint}/health`).then(
        async (response) => (await response.text()).includes('true'),
        () => false,
      );
    });
  };
  await answers();
  return {
    endpoint,
    port,
    ask,
    open(more = {}) {
      const session = openEtcd(
        { endpoints: [endpoint], ...more },
        systemClock,
        Math.random,
        silentLog,
      );
      sessions.push(session);
      return session;
    },
    put: async (key, value) =>
      revisionOf(await ask('kv/put', { key: base64(key), value: base64(value) })),
    delete: async (key) => revisionOf(await ask('kv/deleterange', { key: base64(key) })),
    async compact() {
      const revision = revisionOf(await ask('kv/range', { key: base64('any') }));
      await ask('kv/compaction', { revision: String(revision), physical: true });
    },
    kill: () => end(child),
    async restart(data = 'kept') {
      await end(child);
      if (data === 'wiped') rmSync(join(folder, 'data'), { recursive: true, force: true });
      child = launch(args);
      await answers();
    },
    async stop() {
      await Promise.all(sessions.map((session) => session.close()));
      await end(child);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
