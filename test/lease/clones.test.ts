/** A machine that was cloned: two hosts with one state, and what becomes of them. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ManualClock } from '../support/clock.ts';
import { NETWORK } from '../support/leases.ts';
import { seeded } from '../support/seeded.ts';
import { SimEtcd } from '../support/simEtcd.ts';
import { PREFIX, SimHost } from '../support/simHost.ts';

const TTL = 30;

/** A host that holds its subnet, and its clone, which is down. */
function scene(cloneAddress: string) {
  const clock = new ManualClock();
  const etcd = new SimEtcd(clock);
  const config = { kind: 'valid', config: NETWORK } as const;
  const world = { etcd, clock, random: seeded(7), faults: { loss: 0 }, config, ttl: TTL };
  const original = new SimHost('machine', '10.10.10.1', world);
  const clone = new SimHost('machine', cloneAddress, world);
  original.start();
  clock.advance(1_000);
  assert.equal(original.status?.status, 'held');
  clone.disk = original.disk;
  const key = PREFIX + original.disk?.subnet;
  const owner = (): string => JSON.parse(etcd.get(key)?.value ?? '{}').PublicIP;
  return { clock, etcd, original, clone, key, owner };
}

describe('a clone with our state and another address', () => {
  test('has the subnet, as we would after a move; we say so, write no more, and have it back when the clone is gone', () => {
    const { clock, etcd, original, clone, key, owner } = scene('10.10.10.2');
    clone.start();
    clock.advance(5_000);
    assert.equal(clone.status?.status, 'held');
    assert.equal(original.status?.status, 'superseded');
    assert.match(
      original.status?.sentence ?? '',
      /10\.10\.10\.2, which uses a copy of this host's state/,
    );
    assert.deepEqual([etcd.list().length, owner()], [1, '10.10.10.2']);
    const { revision } = etcd;
    clock.advance(3_600_000);
    assert.equal(etcd.revision, revision, 'nobody writes');
    assert.match(original.status?.sentence ?? '', /uses a copy/, 'and it is said still');
    clone.crash();
    clock.advance(2 * TTL * 1000);
    assert.equal(owner(), '10.10.10.1', 'we did not keep its key alive');
    assert.equal(original.status?.status, 'held');
    assert.notEqual(etcd.get(key)?.lease, clone.disk?.etcdLease);
  });

  test('that comes back finds our key, waits for it and says whose it is', () => {
    const { clock, original, clone, owner } = scene('10.10.10.2');
    clone.start();
    clock.advance(5_000);
    clone.crash();
    clock.advance(2 * TTL * 1000);
    assert.equal(original.status?.status, 'held');
    clone.start();
    clock.advance(60_000);
    assert.deepEqual([owner(), original.status?.status], ['10.10.10.1', 'held']);
    assert.notEqual(clone.status?.status, 'held');
    assert.equal(clone.held, undefined);
  });
});

describe('a clone with a lost state and our address', () => {
  test('and we take the key from each other ever more slowly, and both say so', () => {
    const { clock, etcd, original, clone } = scene('10.10.10.1');
    clone.disk = undefined;
    clone.start();
    clock.advance(600_000);
    const { revision } = etcd;
    clock.advance(600_000);
    assert.ok(etcd.revision - revision <= 45, `${etcd.revision - revision} writes in ten minutes`);
    assert.equal(etcd.list().length, 1);
    const said = [original, clone].map(({ status }) => `${status?.status}: ${status?.sentence}`);
    assert.ok(
      said.some((text) => /contested: another writer with our address/.test(text)),
      said.join('\n'),
    );
  });
});
