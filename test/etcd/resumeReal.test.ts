/** Watches that begin with a saved view, against a real etcd: what they ask of it, and what they make of its answers. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import type { Etcd, KeyValue, SavedView, WatchFeed } from '../../src/etcd/index.ts';
import { freePort, startEtcd, type TestEtcd } from '../support/etcd.ts';
import { findProgram, needs } from '../support/needs.ts';
import { until } from '../support/until.ts';
import { Mirror } from './mirror.ts';

const SKIP = needs('etcd') ?? false;
const KEYS = 2_000;
const HOSTS = 12;

/** What a host would have on disk. */
async function savedNow(etcd: Etcd, prefix: string, witness: string): Promise<SavedView> {
  const stop = new AbortController();
  const clusterId = await new Promise<string>((resolve) => {
    const take = (item: { type: string; clusterId?: string }): void => {
      if (item.clusterId !== undefined) resolve(item.clusterId);
    };
    etcd.watch(prefix, take, stop.signal);
  });
  stop.abort();
  return { clusterId, ...(await etcd.list(prefix)), witnesses: [witness] };
}

/** A watch from `saved`; resolves when it is live. */
async function resumed(
  etcd: Etcd,
  prefix: string,
  saved: SavedView,
): Promise<{ readonly mirror: Mirror; stop(): void }> {
  const abort = new AbortController();
  const mirror = new Mirror();
  etcd.watch(prefix, (item) => mirror.take(item), abort.signal, saved);
  await until('live', () => mirror.state === 'live', 20_000);
  return { mirror, stop: () => abort.abort() };
}

const lines = (entries: readonly KeyValue[]): string[] =>
  entries.map(({ key, value, modRevision }) => `${key}=${value}@${modRevision}`);

describe('watches that begin with a saved view', { skip: SKIP }, () => {
  let server: TestEtcd;
  let direct: Etcd;
  before(async () => {
    server = await startEtcd();
    direct = server.open();
  });
  after(() => server.stop());

  /** What etcd has counted of itself so far. */
  async function counted(): Promise<{ bytes: number; txns: number }> {
    const text = await (await fetch(`${server.endpoint}/metrics`)).text();
    const of = (pattern: RegExp): number => Number(pattern.exec(text)?.[1] ?? 0);
    return {
      bytes: of(/^etcd_network_client_grpc_sent_bytes_total (\S+)$/m),
      txns: of(/^grpc_server_handled_total\{grpc_code="OK",grpc_method="Txn",\S* (\S+)$/m),
    };
  }

  test(`of ${HOSTS} hosts that start together read one change each, and not ${KEYS} keys`, async () => {
    for (let from = 0; from < KEYS; from += 100) {
      const writes = Array.from({ length: 100 }, (_, i) => ({
        ...{ type: 'put' as const, key: `/fleet/${from + i}`, lease: '0' },
        value: `{"PublicIP":"10.10.${from % 250}.${i}","BackendType":"host-gw"}`,
      }));
      await direct.transact({ compare: [], writes });
    }
    const saved = await savedNow(direct, '/fleet/', '/fleet/0');
    await server.put('/fleet/0', 'changed');
    const sessions = Array.from({ length: HOSTS }, () => server.open());
    const earlier = await counted();
    const started = performance.now();
    const watches = await Promise.all(sessions.map((etcd) => resumed(etcd, '/fleet/', saved)));
    const ms = performance.now() - started;
    const later = await counted();
    const wanted = lines((await direct.list('/fleet/')).entries);
    for (const { mirror } of watches) {
      assert.ok(mirror.same(wanted));
      assert.equal(mirror.snapshots, 1);
    }
    const each = (later.bytes - earlier.bytes) / HOSTS;
    const whole = JSON.stringify(saved.entries).length;
    console.log(
      `FIGURES ${HOSTS} hosts resumed ${KEYS} keys in ${ms.toFixed(0)} ms: ${each.toFixed(0)} bytes each (a list: about ${whole})`,
    );
    // On a busy machine an answer may come too late, and is asked for again.
    assert.ok(later.txns - earlier.txns >= HOSTS, 'each asked what has changed');
    assert.ok(each < whole / 10, `${each} bytes each`);
    await server.put('/fleet/new', 'x');
    await until('all hear of what comes next', () =>
      watches.every(({ mirror }) => mirror.has('/fleet/new')),
    );
    for (const { stop } of watches) stop();
  });

  test('know an etcd that was set up anew in the same order by how many keys there were then', async () => {
    await server.put('/anew/config', 'c');
    await server.put('/anew/a', '1');
    const saved = await savedNow(direct, '/anew/', '/anew/config');
    const [config] = saved.entries.filter(({ key }) => key === '/anew/config');
    assert.ok(config !== undefined);
    // The newest key and the witness stand just so; a third one was there before, and never was here.
    const before = { ...saved, entries: [...saved.entries, { ...config, key: '/anew/b' }] };
    const abort = new AbortController();
    const history = await new Promise<string>((resolve) => {
      const take = (item: WatchFeed): void => {
        if (item.type === 'snapshot') resolve(item.otherHistory ?? 'the same');
      };
      direct.watch('/anew/', take, abort.signal, before);
    });
    abort.abort();
    assert.match(history, /set up anew/);
  });

  test('need no history: a compaction of all of it costs no list', async () => {
    await server.put('/old/config', 'c');
    await server.put('/old/a', '1');
    await server.put('/old/much', 'x'.repeat(100_000));
    const saved = await savedNow(direct, '/old/', '/old/config');
    await server.put('/old/a', '2');
    await server.put('/old/b', '1');
    await server.compact();
    const { bytes } = await counted();
    const { mirror, stop } = await resumed(server.open(), '/old/', saved);
    const heard = (await counted()).bytes - bytes;
    assert.ok(heard < 50_000, `${heard} bytes`);
    assert.ok(mirror.same(lines((await direct.list('/old/')).entries)));
    stop();
  });

  test('list where two keys that are no UTF-8 make the number of keys right by chance', async () => {
    const putOdd = (byte: number): Promise<unknown> => {
      const key = Buffer.concat([Buffer.from('/odd/'), Buffer.from([byte])]).toString('base64');
      return server.ask('kv/put', { key, value: '' });
    };
    for (const key of ['config', 'gone']) await server.put(`/odd/${key}`, 'x');
    const saved = await savedNow(direct, '/odd/', '/odd/config');
    await server.delete('/odd/gone');
    for (const byte of [0xff, 0xfe]) await putOdd(byte);
    const { mirror, stop } = await resumed(server.open(), '/odd/', saved);
    assert.equal(mirror.has('/odd/gone'), false);
    stop();
  });

  test('resume through a grpc-proxy too', async () => {
    await server.put('/proxied/much', 'x'.repeat(100_000));
    await server.put('/proxied/config', 'c');
    const saved = await savedNow(direct, '/proxied/', '/proxied/config');
    await server.put('/proxied/a', '1');
    const port = await freePort();
    const etcd = findProgram('etcd') ?? '';
    const at = ['--endpoints', `127.0.0.1:${server.port}`, '--listen-addr', `127.0.0.1:${port}`];
    const proxy = spawn(etcd, ['grpc-proxy', 'start', ...at], { stdio: 'ignore' });
    try {
      const { bytes } = await counted();
      const via = server.open({ endpoints: [`http://127.0.0.1:${port}`] });
      const { mirror, stop } = await resumed(via, '/proxied/', saved);
      const heard = (await counted()).bytes - bytes;
      assert.ok(heard < 50_000, `${heard} bytes`);
      assert.ok(mirror.same(lines((await direct.list('/proxied/')).entries)));
      await server.put('/proxied/b', '1');
      await until('it hears what comes next', () => mirror.has('/proxied/b'));
      stop();
    } finally {
      proxy.kill('SIGKILL');
    }
  });

  test('see that a key has gone, also where another has come', async () => {
    await server.put('/gone/config', 'c');
    await server.put('/gone/a', '1');
    const saved = await savedNow(direct, '/gone/', '/gone/config');
    await server.delete('/gone/a');
    await server.put('/gone/b', '1');
    const { mirror, stop } = await resumed(server.open(), '/gone/', saved);
    assert.ok(!mirror.has('/gone/a') && mirror.has('/gone/b'));
    stop();
  });

  test('hold while etcd is down, ask when it is back, and are not taken in by an empty one', async () => {
    await server.put('/down/config', 'c');
    const saved = await savedNow(direct, '/down/', '/down/config');
    await server.kill();
    const abort = new AbortController();
    const mirror = new Mirror();
    server.open().watch('/down/', (item) => mirror.take(item), abort.signal, saved);
    await until('it says that etcd is away', () => mirror.state === 'stale');
    assert.equal(mirror.snapshots, 0);
    await server.restart('kept');
    await until('live', () => mirror.state === 'live', 20_000);
    assert.ok(mirror.same(lines(saved.entries)));
    abort.abort();

    // The same name and addresses give the same cluster id, and revisions soon are higher.
    await server.restart('wiped');
    for (let i = 0; i <= saved.revision; i += 1) await server.put('/elsewhere', String(i));
    await server.put('/down/other', 'c');
    const anew = await resumed(server.open(), '/down/', saved);
    assert.ok(anew.mirror.same(lines((await server.open().list('/down/')).entries)));
    anew.stop();
  });
});
