import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Bench, NAME, ready, STATE, US } from '../support/ownBench.ts';

describe('a silent etcd', () => {
  const leases = new Map();
  const silent = { type: 'silent', reason: 'etcd has not answered', leases } as const;
  const BY_DISK = [
    `HELD ${NAME} at ${US}`,
    'doubtful: holding subnet 10.100.3.0/24 as the disk says: etcd has not answered',
  ];

  test('makes the disk count, once, and nothing is written before etcd has spoken', () => {
    const bench = ready({ state: STATE });
    assert.deepEqual(bench.give(silent), BY_DISK);
    assert.deepEqual(bench.give(silent), []);
    assert.deepEqual(bench.leases([NAME, US, '700']), [
      'want 700',
      'held: lease acquired: subnet 10.100.3.0/24',
    ]);
  });

  test('that has lost our key is no other owner: the subnet counts while it is asked for', () => {
    const bench = ready({ state: STATE });
    bench.leases();
    assert.deepEqual(bench.give(silent), [`HELD ${NAME} at ${US}`, 'want 700']);
    assert.deepEqual(bench.kept('700'), [`put ${NAME} ${US} lease 700 if absent`]);
  });

  test('makes nothing of a subnet that was never confirmed, or that another host has or had', () => {
    for (const state of [undefined, { ...STATE, held: false }, { ...STATE, rival: '5' }])
      assert.deepEqual(ready({ state }).give(silent), []);
    const bench = ready({ state: STATE });
    bench.leases([NAME, '10.10.10.101', '5']);
    assert.deepEqual(bench.give(silent), []);
  });

  test("makes nothing of a subnet whose key the view on disk shows as another's, or as perhaps another's", () => {
    const had = { ...STATE, addresses: ['10.10.10.99', US] };
    for (const owner of ['10.10.10.101', '10.10.10.99']) {
      const onDisk = new Bench();
      onDisk.leases([NAME, owner, '5']);
      const { leases } = onDisk.view;
      assert.deepEqual(ready({ state: had }).give({ ...silent, leases }), [], owner);
    }
  });

  test('that then shows another owner leaves us superseded', () => {
    const bench = ready({ state: STATE });
    bench.give(silent);
    assert.match(bench.leases([NAME, '10.10.10.101', '5'])[0] ?? '', /^superseded: /);
  });
});
