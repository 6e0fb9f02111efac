/** Two members, of which one goes: the other has no leader, and says so rather than going silent. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { freePort, startEtcd, type TestEtcd } from '../support/etcd.ts';
import { needs } from '../support/needs.ts';
import { until } from '../support/until.ts';
import { Mirror } from './mirror.ts';

describe('a member without a leader', { skip: needs('etcd') ?? false }, () => {
  let members: TestEtcd[] = [];
  before(async () => {
    const ports = [await freePort(), await freePort()];
    const all = ports.map((port, i) => `m${i}=http://127.0.0.1:${port}`).join(',');
    members = await Promise.all(
      ports.map((peerPort, i) =>
        startEtcd({ peerPort, args: ['--name', `m${i}`, '--initial-cluster', all] }),
      ),
    );
  });
  after(() => Promise.all(members.map((member) => member.stop())));

  test('is named as such, the view goes stale, and all is well when the other is back', {
    timeout: 180_000,
  }, async () => {
    const [stays, goes] = members;
    assert.ok(stays && goes);
    const etcd = stays.open();
    const mirror = new Mirror();
    etcd.watch('/c/', (item) => mirror.take(item), new AbortController().signal);
    await until('live', () => mirror.state === 'live');
    await goes.kill();
    await until('stale', () => mirror.state === 'stale');
    await until('the error names the missing leader', () =>
      etcd.get('/c/').then(
        () => false,
        (error: unknown) => /has no leader: too few members/.test(String(error)),
      ),
    );
    assert.match(etcd.status().trouble ?? '', /has no leader/);
    await goes.restart('kept');
    await until('live again', () => mirror.state === 'live');
    await stays.put('/c/a', '1');
    await until('the put', () => mirror.has('/c/a'));
    assert.equal(mirror.snapshots, 1);
  });
});
