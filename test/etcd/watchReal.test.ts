/** The watch against a real etcd that is cut, stalled, killed, compacted and wiped. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Etcd, WatchFeed } from '../../src/etcd/index.ts';
import { startEtcd, type TestEtcd } from '../support/etcd.ts';
import { needs } from '../support/needs.ts';
import { tcpProxy } from '../support/tcpProxy.ts';
import { until } from '../support/until.ts';
import { Mirror } from './mirror.ts';

const SKIP = needs('etcd') ?? false;

/** Watches `prefix` into a mirror until `stop`. */
function follow(etcd: Etcd, prefix: string): { readonly mirror: Mirror; stop(): void } {
  const abort = new AbortController();
  const mirror = new Mirror();
  etcd.watch(prefix, (item: WatchFeed) => mirror.take(item), abort.signal);
  return { mirror, stop: () => abort.abort() };
}

async function shows(
  mirror: Mirror,
  etcd: Etcd,
  prefix: string,
  timeoutMs?: number,
): Promise<void> {
  const { entries } = await etcd.list(prefix);
  const wanted = entries.map((entry) => `${entry.key}=${entry.value}@${entry.modRevision}`);
  await until('the mirror shows what etcd holds', () => mirror.same(wanted), timeoutMs);
}

describe('a watch on an etcd that stays', { skip: SKIP }, () => {
  let server: TestEtcd;
  let direct: Etcd;
  before(async () => {
    server = await startEtcd();
    direct = server.open();
  });
  after(() => server.stop());

  test('sees every one of 2,000 puts once and in order across 10 cuts', async () => {
    const proxy = await tcpProxy(server.port);
    const etcd = server.open({ endpoints: [`http://127.0.0.1:${proxy.port}`] });
    const { mirror, stop } = follow(etcd, '/cuts/');
    await until('live', () => mirror.state === 'live');
    const revisions: number[] = [];
    for (let i = 0; i < 2_000; i += 1) {
      revisions.push(await server.put(`/cuts/${i % 100}`, String(i)));
      if (i % 200 === 100) proxy.cut();
    }
    await shows(mirror, direct, '/cuts/');
    assert.deepEqual(mirror.eventRevisions, revisions);
    assert.equal(mirror.snapshots, 1);
    await until('live again', () => mirror.state === 'live');
    stop();
    await proxy.close();
  });

  test('after a compaction while it was cut off it starts from a new snapshot', async () => {
    const proxy = await tcpProxy(server.port);
    const etcd = server.open({ endpoints: [`http://127.0.0.1:${proxy.port}`] });
    const { mirror, stop } = follow(etcd, '/compact/');
    await server.put('/compact/a', '1');
    await until('the put', () => mirror.has('/compact/a'));
    proxy.refuse(true);
    proxy.cut();
    await until('stale', () => mirror.state === 'stale');
    await server.put('/compact/b', '2');
    await server.delete('/compact/a');
    await server.compact();
    proxy.refuse(false);
    await shows(mirror, direct, '/compact/');
    assert.equal(mirror.snapshots, 2);
    await until('live', () => mirror.state === 'live');
    stop();
    await proxy.close();
  });

  test('a stream that went silent is noticed and resumed, with nothing lost', {
    timeout: 180_000,
  }, async () => {
    const proxy = await tcpProxy(server.port);
    const etcd = server.open({
      endpoints: [`http://127.0.0.1:${proxy.port}`, server.endpoint],
    });
    await server.put('/silent/first', '0');
    const { mirror, stop } = follow(etcd, '/silent/');
    await until('live', () => mirror.state === 'live');
    proxy.stall();
    await server.put('/silent/a', '1');
    await until('the put', () => mirror.has('/silent/a'));
    assert.equal(mirror.snapshots, 1);
    stop();
    await proxy.close();
  });

  test('a quiet prefix in a busy store stays live on one stream', {
    timeout: 180_000,
  }, async () => {
    const proxy = await tcpProxy(server.port);
    const etcd = server.open({ endpoints: [`http://127.0.0.1:${proxy.port}`] });
    const { mirror, stop } = follow(etcd, '/quiet/');
    await until('live', () => mirror.state === 'live');
    const taken = proxy.taken;
    const end = performance.now() + 5_500;
    await until(
      'time passes under writes beside the prefix',
      async () => {
        await server.put('/beside', 'x');
        return performance.now() > end;
      },
      10_000,
    );
    assert.deepEqual(mirror.said, ['live']);
    assert.equal(proxy.taken, taken);
    stop();
    await proxy.close();
  });

  test('after its signal nothing is fed any more', async () => {
    const { mirror, stop } = follow(direct, '/stopped/');
    await until('live', () => mirror.state === 'live');
    stop();
    await server.put('/stopped/a', '1');
    const second = follow(direct, '/stopped/');
    await until('another watch has it', () => second.mirror.has('/stopped/a'));
    await server.put('/stopped/b', '1');
    await until('and the next', () => second.mirror.has('/stopped/b'));
    assert.ok(!mirror.has('/stopped/a'));
    second.stop();
  });
});

describe('a watch on an etcd that goes', { skip: SKIP }, () => {
  let server: TestEtcd;
  let etcd: Etcd;
  before(async () => {
    server = await startEtcd();
    etcd = server.open();
  });
  after(() => server.stop());

  test('resumes without a snapshot when etcd was killed and comes back with its data', async () => {
    const { mirror, stop } = follow(etcd, '/kept/');
    await server.put('/kept/a', '1');
    await until('the put', () => mirror.has('/kept/a'));
    await server.kill();
    await until('stale', () => mirror.state === 'stale');
    await server.restart('kept');
    await server.put('/kept/b', '2');
    await shows(mirror, etcd, '/kept/');
    assert.equal(mirror.snapshots, 1);
    await until('live', () => mirror.state === 'live');
    stop();
  });

  test('lists again when etcd comes back empty', async () => {
    for (let i = 0; i < 5; i += 1) await server.put('/wiped/old', String(i));
    const { mirror, stop } = follow(etcd, '/wiped/');
    await until('live', () => mirror.state === 'live' && mirror.has('/wiped/old'));
    await server.restart('wiped');
    await server.put('/wiped/new', '1');
    await shows(mirror, etcd, '/wiped/');
    assert.ok(mirror.snapshots >= 2);
    assert.ok(!mirror.has('/wiped/old'));
    stop();
  });
});
