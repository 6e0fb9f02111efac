/** The session against a real etcd: paging, transactions, leases, failover, errors. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { systemClock } from '../../src/core/index.ts';
import { type Etcd, EtcdError, openEtcd } from '../../src/etcd/index.ts';
import { freePort, startEtcd, type TestEtcd } from '../support/etcd.ts';
import { collectingLog } from '../support/log.ts';
import { needs } from '../support/needs.ts';
import { tcpProxy } from '../support/tcpProxy.ts';

const absent = (key: string) => ({ key, is: 'absent' }) as const;
const put = (key: string, value: string, lease = '0') =>
  ({ type: 'put', key, value, lease }) as const;

async function kindOf(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof EtcdError, `expected an EtcdError, got ${String(error)}`);
  return error.kind;
}

describe('a session with a real etcd', { skip: needs('etcd') ?? false }, () => {
  let server: TestEtcd;
  let etcd: Etcd;
  let unique = 0;
  const prefix = (): string => {
    unique += 1;
    return `/t${unique}/`;
  };

  before(async () => {
    server = await startEtcd();
    etcd = server.open();
  });
  after(() => server.stop());

  test('lists more keys than fit on a page, each once, in order, at one revision', async () => {
    const under = prefix();
    const keys = Array.from({ length: 12_000 }, (_, i) => `${under}${String(i).padStart(5, '0')}`);
    for (let from = 0; from < keys.length; from += 120) {
      const writes = keys.slice(from, from + 120).map((key) => put(key, 'v'));
      await etcd.transact({ compare: [], writes });
    }
    await etcd.transact({ compare: [], writes: [put(`${under.slice(0, -1)}0`, 'beside')] });
    const { revision, entries } = await etcd.list(under);
    assert.deepEqual(
      entries.map((entry) => entry.key),
      keys,
    );
    assert.ok(entries.every((entry) => entry.modRevision <= revision));
  });

  test('an empty prefix lists every key', async () => {
    const key = `${prefix()}k`;
    await server.put(key, 'v');
    assert.ok((await etcd.list('')).entries.some((entry) => entry.key === key));
  });

  test('of 50 that create the same key at once exactly one wins, the others see the winner', async () => {
    const key = `${prefix()}k`;
    const results = await Promise.all(
      Array.from({ length: 50 }, (_, i) =>
        etcd.transact({ compare: [absent(key)], writes: [put(key, `host ${i}`)] }),
      ),
    );
    const winners = results.flatMap((result, i) => (result.succeeded ? [`host ${i}`] : []));
    assert.equal(winners.length, 1);
    for (const result of results) {
      if (!result.succeeded)
        assert.deepEqual(
          result.current.map((kv) => kv.value),
          winners,
        );
    }
    assert.equal((await etcd.get(key))?.value, winners[0]);
  });

  test('a transaction holds on revision and lease, and a failed one shows all compared keys that exist', async () => {
    const under = prefix();
    const [a, b] = [`${under}a`, `${under}b`];
    const id = '7000000000000000001';
    await etcd.grant(id, 60);
    const made = await etcd.transact({ compare: [absent(a)], writes: [put(a, '1', id)] });
    assert.ok(made.succeeded);
    const revision = made.revision;
    const wrong = await etcd.transact({
      compare: [{ key: a, is: 'modRevision', revision: revision - 1 }, absent(b), absent(a)],
      writes: [put(b, 'x')],
    });
    assert.ok(!wrong.succeeded);
    assert.deepEqual(wrong.current, [
      { key: a, value: '1', createRevision: revision, modRevision: revision, lease: id },
    ]);
    const right = await etcd.transact({
      compare: [
        { key: a, is: 'modRevision', revision },
        { key: a, is: 'lease', lease: id },
      ],
      writes: [{ type: 'delete', key: a }, put(b, '2')],
    });
    assert.ok(right.succeeded);
    assert.equal(await etcd.get(a), undefined);
    assert.equal((await etcd.get(b))?.value, '2');
    await etcd.revoke(id);
  });

  test('a lease granted twice under one id is granted, a gone one renews to 0 and is revoked twice in peace', async () => {
    const id = '9223372036854775807';
    assert.equal(await etcd.grant(id, 60), 60);
    assert.equal(await etcd.grant(id, 60), 60);
    assert.equal(await etcd.keepAlive(id), 60);
    await etcd.revoke(id);
    await etcd.revoke(id);
    assert.equal(await etcd.keepAlive(id), 0);
  });

  test('an endpoint that refuses is told in one sentence, and the session goes on with the next', async () => {
    const dead = `http://127.0.0.1:${await freePort()}`;
    const log = collectingLog();
    const session = openEtcd({ endpoints: [dead, server.endpoint] }, systemClock, Math.random, log);
    const key = `${prefix()}k`;
    const made = await session.transact({ compare: [absent(key)], writes: [put(key, 'v')] });
    assert.ok(
      made.succeeded,
      'a write that was refused never left the host, so it is tried elsewhere',
    );
    assert.equal(session.status().endpoint, server.endpoint);
    assert.equal(session.status().trouble, undefined);
    for (let i = 0; i < 20; i += 1) await session.get(key);
    assert.deepEqual(log.lines, [
      `warn etcd at ${dead} refused the connection: is it running and listening there?`,
    ]);
    await session.close();
  });

  test('one dead endpoint alone is a refused connection', async () => {
    const dead = server.open({ endpoints: [`http://127.0.0.1:${await freePort()}`] });
    assert.equal(await kindOf(dead.list('/')), 'refused');
    assert.match(dead.status().trouble ?? '', /refused the connection/);
  });

  test('a host name that does not exist is unreachable, with the name as the cause', async () => {
    const lost = server.open({ endpoints: ['http://no-such-host.invalid:2379'] });
    await assert.rejects(lost.get('/'), {
      kind: 'unreachable',
      message: /name cannot be resolved/,
    });
  });

  test('an endpoint that takes connections and says nothing is left for one that answers', async () => {
    const proxy = await tcpProxy(server.port);
    const session = server.open({
      endpoints: [`http://127.0.0.1:${proxy.port}`, server.endpoint],
    });
    await session.get('/');
    proxy.stall();
    await session.get('/');
    assert.equal(session.status().endpoint, server.endpoint);
    await proxy.close();
  });

  test('an endpoint that was left is not gone back to when it is there again', async () => {
    const proxy = await tcpProxy(server.port);
    const first = `http://127.0.0.1:${proxy.port}`;
    const session = server.open({ endpoints: [first, server.endpoint] });
    await session.get('/');
    assert.equal(session.status().endpoint, first);
    proxy.refuse(true);
    proxy.cut();
    await session.get('/');
    proxy.refuse(false);
    const { taken } = proxy;
    for (let i = 0; i < 20; i += 1) await session.get('/');
    assert.equal(session.status().endpoint, server.endpoint);
    assert.equal(proxy.taken, taken);
    await proxy.close();
  });

  test('a write whose answer is lost is handed back as a failure, not written twice', async () => {
    const proxy = await tcpProxy(server.port);
    const session = server.open({ endpoints: [`http://127.0.0.1:${proxy.port}`] });
    const key = `${prefix()}k`;
    await session.get(key);
    proxy.delay(300);
    const write = session.transact({ compare: [], writes: [put(key, 'v')] });
    setTimeout(() => proxy.cut(), 450);
    assert.equal(await kindOf(write), 'unreachable');
    const found = await etcd.get(key);
    assert.ok(found === undefined || found.createRevision === found.modRevision);
    proxy.delay(0);
    await session.get(key);
    await proxy.close();
  });

  test('a closed session rejects at once, also what was under way', async () => {
    const proxy = await tcpProxy(server.port);
    const session = server.open({ endpoints: [`http://127.0.0.1:${proxy.port}`] });
    await session.get('/');
    proxy.stall();
    const calls = [session.get('/'), session.keepAlive('1'), session.list('/')].map(kindOf);
    await session.close();
    assert.deepEqual(await Promise.all(calls), ['other', 'other', 'other']);
    assert.equal(await kindOf(session.get('/')), 'other');
    await session.close();
    await proxy.close();
  });
});
