import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ViewRecord } from '../../src/lease/index.ts';

const entry = (key: string, value = 'v', modRevision = 5) => ({
  ...{ key, value, lease: '0' },
  ...{ createRevision: 5, modRevision },
});
const put = (key: string, value?: string, revision?: number) => ({
  type: 'put' as const,
  entry: entry(key, value, revision),
});
const snapshot = (...entries: ReturnType<typeof entry>[]) => ({
  ...{ type: 'snapshot' as const, revision: 9, clusterId: '7', entries },
});

describe('the record of a view', () => {
  test('holds every key as it was last told, and knows the newest', () => {
    const record = new ViewRecord('/config');
    assert.equal(record.whole, false);
    record.take(snapshot(entry('/a'), entry('/b', 'v', 8), entry('/c')));
    assert.deepEqual([record.revision, record.clusterId, record.newest], [9, '7', '/b']);
    const gone = { type: 'delete' as const, key: '/b', modRevision: 11 };
    record.take({ type: 'changes', revision: 11, events: [put('/a', 'w', 10), gone] });
    assert.deepEqual([...record.entries.values()], [entry('/c'), entry('/a', 'w', 10)]);
    assert.deepEqual([record.revision, record.newest, record.whole], [11, '/a', true]);
    record.take(snapshot());
    assert.equal(record.entries.size, 0);
  });

  test('leaves out what no honest writer writes, and is not whole while that is there', () => {
    const limits = { key: 5, value: 5, all: 20 };
    for (const odd of [entry('/long-key'), entry('/a', 'too long')]) {
      const record = new ViewRecord('/config', limits);
      record.take(snapshot(entry('/b'), odd));
      assert.deepEqual([...record.entries.keys()], ['/b']);
      assert.equal(record.whole, false);
      const gone = { type: 'delete' as const, key: odd.key, modRevision: 10 };
      record.take({ type: 'changes', revision: 10, events: [gone] });
      assert.equal(record.whole, true);
      record.take({ type: 'changes', revision: 12, events: [put('/a', 'too long'), put('/a')] });
      assert.deepEqual([[...record.entries.keys()], record.whole], [['/b', '/a'], true]);
      record.take({ type: 'changes', revision: 13, events: [put('/a', 'too long')] });
      assert.equal(record.whole, false);
      record.take(snapshot(entry('/b')));
      assert.equal(record.whole, true);
    }
  });

  test('that left out more than it may remember is not whole until the next snapshot', () => {
    const record = new ViewRecord('/config');
    record.take(snapshot());
    for (let i = 0; i < 200; i += 1) {
      const key = `/${'x'.repeat(1_000)}${i}`;
      record.take({ type: 'changes', revision: 10, events: [put(key)] });
      record.take({
        type: 'changes',
        revision: 11,
        events: [{ type: 'delete', key, modRevision: 11 }],
      });
    }
    assert.equal(record.whole, true, 'one at a time can be remembered');
    const keys = Array.from({ length: 200 }, (_, i) => `/${'x'.repeat(1_000)}${i}`);
    const gone = keys.map((key) => ({ type: 'delete' as const, key, modRevision: 13 }));
    record.take({ type: 'changes', revision: 12, events: keys.map((key) => put(key)) });
    record.take({ type: 'changes', revision: 13, events: gone });
    assert.equal(record.whole, false);
    record.take(snapshot(entry('/b')));
    assert.equal(record.whole, true);
  });

  test('never leaves out the config, however long', () => {
    const record = new ViewRecord('/config', { key: 5, value: 5, all: 20 });
    record.take(snapshot(entry('/b'), entry('/config', 'x'.repeat(50))));
    assert.deepEqual([record.entries.has('/config'), record.whole], [true, true]);
  });

  test('leaves out keys that are no UTF-8, of which two may have one text, and is not whole with them', () => {
    const odd = [
      [0x2f, 0xff],
      [0x2f, 0xfe],
    ].map((bytes) => Buffer.from(bytes).toString());
    const record = new ViewRecord('/config');
    record.take(snapshot(entry('/b'), ...odd.map((key) => entry(key))));
    assert.deepEqual([[...record.entries.keys()], record.whole], [['/b'], false]);
    const gone = { type: 'delete' as const, key: odd[0] ?? '', modRevision: 10 };
    record.take({ type: 'changes', revision: 10, events: [gone] });
    assert.equal(record.whole, false, 'the other one is still there');
    record.take(snapshot(entry('/b')));
    record.take({ type: 'changes', revision: 11, events: [put(odd[0] ?? '')] });
    assert.equal(record.whole, false);
  });

  test('that had a value which has grown too long forgets the key', () => {
    const record = new ViewRecord('/config', { key: 5, value: 5, all: 20 });
    record.take(snapshot(entry('/a')));
    record.take({ type: 'changes', revision: 10, events: [put('/a', 'too long', 10)] });
    assert.deepEqual([...record.entries.keys()], []);
  });

  test('is bounded in all, and has room again when keys go', () => {
    const record = new ViewRecord('/config', { key: 5, value: 5, all: 10 });
    record.take(snapshot(entry('/a'), entry('/b'), entry('/c'), entry('/d')));
    assert.deepEqual([...record.entries.keys()], ['/a', '/b', '/c']);
    const gone = { type: 'delete' as const, key: '/a', modRevision: 10 };
    record.take({ type: 'changes', revision: 10, events: [gone, put('/e')] });
    assert.deepEqual([...record.entries.keys()], ['/b', '/c', '/e']);
  });
});
