import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Fed } from '../../src/etcd/fed.ts';
import type { KeyValue } from '../../src/etcd/index.ts';

const entry = (key: string, revision: number): KeyValue => ({
  ...{ key, value: 'x', lease: '0' },
  ...{ createRevision: revision, modRevision: revision },
});
const header = (revision: number) => ({ revision, clusterId: '1' });

describe('the witness of a watch', () => {
  test('is the key that was put last, one of so many', () => {
    const fed = new Fed();
    fed.snapshot(header(5), [entry('a', 2), entry('b', 4)]);
    assert.deepEqual(fed.witness, { key: 'b', entry: entry('b', 4), ...header(5), count: 2 });
    fed.changes([{ type: 'put', entry: entry('c', 6) }]);
    assert.deepEqual(fed.witness, { key: 'c', entry: entry('c', 6), ...header(6), count: 3 });
  });

  test('is never a key that is no UTF-8: by its text it would not be found again', () => {
    const fed = new Fed();
    const odd = '/\u{fffd}';
    fed.snapshot(header(5), [entry(odd, 4)]);
    assert.deepEqual([fed.witness], [undefined]);
    fed.snapshot(header(6), [entry('a', 2), entry(odd, 4)]);
    assert.equal(fed.witness?.key, 'a');
    fed.changes([{ type: 'put', entry: entry('b', 7) }]);
    fed.changes([{ type: 'put', entry: entry(odd, 8) }]);
    assert.deepEqual([fed.witness?.key, fed.witness?.revision], ['b', 8]);
    fed.changes([{ type: 'delete', key: odd, modRevision: 9 }]);
    assert.deepEqual([fed.witness?.key, fed.witness?.revision], ['b', 9]);
    const events = ['a', odd].map((key) => ({ type: 'delete', key, modRevision: 10 }) as const);
    fed.changes(events);
    assert.deepEqual([fed.witness?.key, fed.witness?.standing?.key], ['a', 'b']);
  });

  test('is never an absence alone, which a wiped etcd would confirm: the newest key that stands is beside it', () => {
    const fed = new Fed();
    fed.snapshot(header(5), [entry('a', 2), entry('b', 4)]);
    fed.changes([{ type: 'put', entry: entry('c', 6) }]);
    fed.changes([{ type: 'delete', key: 'b', modRevision: 7 }]);
    const absent = { key: 'b', entry: undefined, ...header(7), count: 2 };
    assert.deepEqual(fed.witness, { ...absent, standing: entry('c', 6) });
  });

  test('has another key beside it where the newest itself was deleted, while one is left', () => {
    const fed = new Fed();
    fed.snapshot(header(5), [entry('a', 2), entry('b', 4)]);
    fed.changes([{ type: 'delete', key: 'b', modRevision: 6 }]);
    assert.deepEqual(fed.witness?.standing, entry('a', 2));
    const again = { ...entry('a', 2), modRevision: 7 };
    fed.changes([{ type: 'put', entry: again }]);
    fed.changes([{ type: 'delete', key: 'b', modRevision: 8 }]);
    assert.deepEqual(fed.witness?.standing, again);
    fed.changes([{ type: 'delete', key: 'a', modRevision: 9 }]);
    assert.equal(fed.witness?.standing, undefined);
  });
});
