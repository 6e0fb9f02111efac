/** A real etcd in a host of the lab, and its keys read and written from outside the lab. */
import { accessSync, constants } from 'node:fs';
import { request } from 'node:http';
import { delimiter, join } from 'node:path';
import type { Host } from './host.ts';
import { LabError } from './nest.ts';
import type { LabProcess } from './process.ts';

export interface LabEtcd {
  /** What agents are given: --etcd-endpoints. */
  readonly endpoint: string;
  readonly process: LabProcess;
  put(key: string, value: string): Promise<void>;
  /** Key to value, of every key that begins with `prefix`. */
  list(prefix: string): Promise<Map<string, string>>;
}

/** $HOSTGW_ETCD (set by the bootstrap), $ETCD, then PATH; undefined if there is none. */
export function findEtcd(env: NodeJS.ProcessEnv = process.env): string | undefined {
  return env['HOSTGW_ETCD'] || env['ETCD'] || findProgram('etcd', env);
}

/** Full path of a program on PATH, /usr/sbin and /sbin included, which an ordinary user's PATH lacks. */
export function findProgram(
  name: string,
  env: NodeJS.ProcessEnv = process.env,
): string | undefined {
  const folders = [...(env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  return folders
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, name))
    .find(isProgram);
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

export interface EtcdOptions {
  readonly port?: number;
  /** All hosts of the cluster that this is a member of, this one too. They are ready when most of them are up. */
  readonly members?: readonly Host[];
  /** More arguments for etcd. */
  readonly args?: readonly string[];
}

export async function startEtcd(host: Host, options: EtcdOptions = {}): Promise<LabEtcd> {
  const program = findEtcd();
  if (program === undefined) {
    throw new LabError(
      'The lab needs etcd: install it (apt-get install etcd-server) or name it in $ETCD.',
    );
  }
  const endpoint = `http://${host.address}:${options.port ?? 2379}`;
  const peerOf = (member: Host): string =>
    options.members === undefined ? 'http://127.0.0.1:2380' : `http://${member.address}:2380`;
  const peer = peerOf(host);
  const members = (options.members ?? [host]).map((member) => `${member.name}=${peerOf(member)}`);
  // The unix socket is for us: a path reaches across network namespaces, so no proxy and no etcdctl are needed.
  const etcd = host.spawn('etcd', [
    ...[
      'sh',
      '-c',
      'mkdir -p /run/etcd && cd /run/etcd && rm -f localhost:1 && exec "$@"',
      'sh',
      program,
    ],
    ...['--name', host.name, '--data-dir', '/run/etcd/data'],
    ...[
      '--listen-client-urls',
      `${endpoint},unix://localhost:1`,
      '--advertise-client-urls',
      endpoint,
    ],
    ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer],
    ...['--initial-cluster', members.join(',')],
    ...(options.args ?? []),
  ]);
  const socket = `/proc/${host.pid}/root/run/etcd/localhost:1`;
  await etcd.waitFor(/ready to serve client requests/);
  return {
    endpoint,
    process: etcd,
    async put(key, value) {
      await call(socket, '/v3/kv/put', { key: base64(key), value: base64(value) });
    },
    async list(prefix) {
      const end =
        prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);
      const answer = await call(socket, '/v3/kv/range', {
        key: base64(prefix),
        range_end: base64(end),
      });
      return new Map(keyValues(answer));
    },
  };
}

function base64(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64');
}

function keyValues(answer: unknown): [string, string][] {
  const kvs = (answer as { kvs?: { key: string; value?: string }[] }).kvs ?? [];
  const plain = (text: string): string => Buffer.from(text, 'base64').toString('utf8');
  return kvs.map((kv) => [plain(kv.key), plain(kv.value ?? '')]);
}

/** One call to etcd's JSON gateway. */
function call(socketPath: string, path: string, body: object): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const req = request({ socketPath, path, method: 'POST', timeout: 5000 }, (res) => {
      let text = '';
      res.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      res.on('error', reject);
      res.on('end', () => {
        if (res.statusCode === 200) resolve(JSON.parse(text));
        else reject(new LabError(`etcd answered ${res.statusCode} to ${path}: ${text.trim()}`));
      });
    });
    req.on('timeout', () => req.destroy(new LabError(`etcd did not answer ${path} within 5 s`)));
    req.on('error', reject);
    req.end(JSON.stringify(body));
  });
}
