import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { describe, test } from 'node:test';
import { type Condition, Health, serveHealth } from '../../src/agent/health.ts';

const etcd: Condition = { code: 'etcd', sentence: 'etcd does not answer', blocking: true };

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  assert.ok(address !== null && typeof address === 'object');
  return address.port;
}

describe('health', () => {
  test('tells a condition once when it begins, changes and ends', () => {
    const told: string[] = [];
    const health = new Health((condition, code) =>
      told.push(`${code}: ${condition?.sentence ?? 'over'}`),
    );
    health.set(etcd);
    health.set(etcd);
    health.set({ ...etcd, sentence: 'etcd refuses us' });
    health.clear('etcd');
    health.clear('etcd');
    assert.deepEqual(told, ['etcd: etcd does not answer', 'etcd: etcd refuses us', 'etcd: over']);
  });

  test('is ready while nothing that blocks is wrong', () => {
    const health = new Health(() => {});
    assert.ok(health.ready);
    health.set({ code: 'peer', sentence: 'one peer is off-link', blocking: false });
    assert.ok(health.ready);
    health.set(etcd);
    assert.ok(!health.ready);
  });

  test('is served as flannel serves it, and with its reasons', async () => {
    const health = new Health(() => {});
    health.set(etcd);
    const port = await freePort();
    const server = await serveHealth({
      ip: '127.0.0.1',
      port,
      health,
      details: () => ({ peers: 0 }),
    });
    try {
      const get = (path: string): Promise<Response> => fetch(`http://127.0.0.1:${port}${path}`);
      assert.equal((await get('/healthz')).status, 200);
      const notReady = await get('/readyz');
      assert.equal(notReady.status, 503);
      assert.deepEqual(await notReady.json(), { ready: false, conditions: [etcd], peers: 0 });
      health.clear('etcd');
      assert.equal((await get('/readyz?x=1')).status, 200);
      assert.equal((await get('/')).status, 404);
    } finally {
      await server.close();
    }
  });

  test('a port that is taken is an error, not a crash', async () => {
    const port = await freePort();
    const options = { ip: '127.0.0.1', port, health: new Health(() => {}), details: () => ({}) };
    const first = await serveHealth(options);
    await assert.rejects(serveHealth(options), { code: 'EADDRINUSE' });
    await first.close();
  });
});
