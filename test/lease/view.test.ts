import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { LeaseView } from '../../src/lease/index.ts';
import { valueText } from '../support/leases.ts';

const PREFIX = '/net/subnets/';

const entry = (name: string, publicIp: string, revision = 5, lease = '7') => ({
  ...{ key: PREFIX + name, value: valueText(publicIp), lease },
  ...{ createRevision: revision, modRevision: revision },
});
const snapshot = (view: LeaseView, ...entries: ReturnType<typeof entry>[]): string[] =>
  view
    .apply({ type: 'snapshot', revision: 9, entries })
    .map(({ name, read }) => `${name} ${read?.kind ?? 'gone'}`);

describe('the view of all leases', () => {
  test('gives of a snapshot only what differs from what was known', () => {
    const view = new LeaseView(PREFIX);
    const one = entry('10.100.1.0-24', '10.10.10.1');
    const two = entry('10.100.2.0-24', '10.10.10.2');
    assert.deepEqual(snapshot(view, one, two), ['10.100.1.0-24 lease', '10.100.2.0-24 lease']);
    assert.deepEqual(snapshot(view, one, two), []);
    const moved = entry('10.100.2.0-24', '10.10.10.3');
    assert.deepEqual(snapshot(view, moved), ['10.100.1.0-24 gone', '10.100.2.0-24 lease']);
    assert.deepEqual([...view.leases.keys()], ['10.100.2.0-24']);
  });

  test('compares whole values: a restored cluster may give a known revision to another value', () => {
    const view = new LeaseView(PREFIX);
    snapshot(view, entry('10.100.1.0-24', '10.10.10.1', 5, '7'));
    assert.equal(snapshot(view, entry('10.100.1.0-24', '10.10.10.2', 5, '7')).length, 1);
    assert.equal(snapshot(view, entry('10.100.1.0-24', '10.10.10.2', 5, '8')).length, 1);
    assert.equal(snapshot(view, entry('10.100.1.0-24', '10.10.10.2', 6, '8')).length, 1);
  });

  test('takes puts and deletes; a delete of what it never knew is nothing', () => {
    const view = new LeaseView(PREFIX);
    const put = { type: 'put' as const, entry: entry('10.100.1.0-24', '10.10.10.1') };
    const gone = { type: 'delete' as const, key: put.entry.key, modRevision: 6 };
    const changes = view.apply({ type: 'changes', revision: 6, events: [put, gone, gone] });
    assert.deepEqual(
      changes.map(({ read }) => read?.kind),
      ['lease', undefined],
    );
    assert.equal(view.leases.size, 0);
    assert.equal(view.revision, 6);
  });

  test('keeps no megabyte: a name of that size is shortened, and still deleted', () => {
    const view = new LeaseView(PREFIX);
    const long = entry(`${'x\u0007'.repeat(1 << 19)}`, 'y'.repeat(1 << 20));
    const [change] = view.apply({ type: 'snapshot', revision: 5, entries: [long] });
    assert.ok(change?.read?.kind === 'malformed');
    assert.ok(JSON.stringify(change).length < 2000);
    assert.match(change.read.reason, /^[\x20-\x7e]+$/);
    view.apply({
      type: 'changes',
      revision: 6,
      events: [{ type: 'delete', key: long.key, modRevision: 6 }],
    });
    assert.equal(view.leases.size, 0);
  });
});
