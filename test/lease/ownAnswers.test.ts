import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { NAME, previous, ready, US } from '../support/ownBench.ts';

describe('what an answer of etcd told', () => {
  test('is asked for again where no view comes that shows it, and put again where it is gone: etcd was wiped meanwhile', () => {
    const bench = ready({ previous });
    bench.leases();
    bench.saved();
    bench.kept();
    bench.done();
    bench.saved();
    assert.deepEqual(bench.wake(), [`read ${NAME}`]);
    assert.equal(bench.now, 3_000);
    assert.ok(bench.readBack().includes(`put ${NAME} ${US} lease 900 if absent`));
  });

  test('counts for nothing where a view is newer: the key was deleted before the slow answer to its put came', () => {
    const bench = ready({ previous });
    bench.leases();
    bench.saved();
    const [put] = bench.kept();
    assert.equal(put, `put ${NAME} ${US} lease 900 if absent`);
    bench.leases([NAME, US, '900']);
    bench.leases();
    assert.ok(bench.done(2).includes(`put ${NAME} ${US} lease 900 if absent`));
  });

  test('is asked for no more once a view shows it', () => {
    const bench = ready({ previous });
    bench.leases();
    bench.saved();
    bench.kept();
    bench.done();
    bench.saved();
    bench.leases([NAME, US, '900']);
    assert.equal(bench.own.deadline, undefined);
  });
});
