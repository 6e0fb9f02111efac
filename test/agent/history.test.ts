/** What a snapshot says about the history that it is of. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { History } from '../../src/agent/history.ts';
import type { WatchEvent } from '../../src/etcd/index.ts';

const WITNESSES = ['config', 'own'];
const key = (name: string, createRevision: number, modRevision = createRevision) => ({
  ...{ key: name, value: 'v', lease: '0' },
  createRevision,
  modRevision,
});
const FLEET = [key('config', 2), key('a', 3), key('b', 4), key('own', 5), key('c', 6)];

function known(): History {
  const history = new History();
  assert.equal(history.snapshot(6, FLEET, WITNESSES), false);
  return history;
}

const without = (...names: string[]) => FLEET.filter((entry) => !names.includes(entry.key));

describe('a snapshot', () => {
  test('of the same keys, some gone and some new, is of the same history', () => {
    assert.equal(known().snapshot(9, [...without('b'), key('d', 8)], WITNESSES), false);
  });

  test('without our own key, or with a younger one, is of the same history where most keys are as they were', () => {
    assert.equal(known().snapshot(9, without('own', 'c'), WITNESSES), false);
    assert.equal(known().snapshot(9, [...without('own'), key('own', 8)], WITNESSES), false);
  });

  test('with our own key put anew is of the same history, whatever else went, if nothing in it contradicts', () => {
    assert.equal(known().snapshot(9, [key('config', 2), key('own', 8)], WITNESSES), false);
    const other = [key('config', 2), key('own', 8), key('d', 3)];
    assert.equal(known().snapshot(9, other, WITNESSES), true);
  });

  test('with every witness made anew is of the same history only where most other keys are as they were', () => {
    const anew = [...without('config', 'own'), key('config', 8), key('own', 9)];
    assert.equal(known().snapshot(9, anew, WITNESSES), false);
    const few = [key('config', 8), key('own', 9), key('a', 3)];
    assert.equal(known().snapshot(9, few, WITNESSES), true);
    // Our own key may have run out long ago: then the config's alone bears witness.
    const history = new History();
    history.snapshot(6, FLEET, ['config']);
    assert.equal(history.snapshot(9, few, ['config']), true);
  });

  test('without our own key and most others proves nothing', () => {
    assert.equal(known().snapshot(9, without('own', 'b', 'c'), WITNESSES), true);
  });

  test('that lacks our key and has one as old as what we heard, which we never heard of, is of another history', () => {
    const restored = [...without('own', 'c'), key('d', 5)];
    assert.equal(known().snapshot(9, restored, WITNESSES), true);
  });

  test('is not contradicted by keys that are no UTF-8, of which two have one text', () => {
    const odd = [key('\u{fffd}', 3), key('\u{fffd}', 4)];
    const history = new History();
    history.snapshot(6, [...FLEET, ...odd], WITNESSES);
    assert.equal(history.snapshot(9, [...without('own'), ...odd], WITNESSES), false);
  });

  test('of a lower revision, or with another config of old, is of another history', () => {
    assert.equal(known().snapshot(5, FLEET, WITNESSES), true);
    const other = [...without('config'), key('config', 3)];
    assert.equal(known().snapshot(9, other, WITNESSES), true);
  });

  test('after changes is held against these too', () => {
    const history = known();
    history.changes(7, [{ type: 'delete', key: 'own', modRevision: 7 }], WITNESSES);
    assert.equal(history.snapshot(9, without('own'), WITNESSES), false);
  });
});

describe('a key that was there', () => {
  const whole = (entries: typeof FLEET) =>
    ({ type: 'snapshot', revision: 9, clusterId: '1', entries }) as const;
  const changes = (...events: WatchEvent[]) => ({ type: 'changes', revision: 9, events }) as const;

  test('has ended where it is gone, or was made anew; a new value alone ends nothing', () => {
    const history = known();
    assert.equal(history.ends('own', whole(FLEET)), false);
    assert.equal(history.ends('own', whole([key('own', 5, 9)])), false);
    assert.equal(history.ends('own', whole([key('own', 8)])), true);
    assert.equal(history.ends('own', whole(without('own'))), true);
    const put = { type: 'put', entry: key('own', 9) } as const;
    const gone = { type: 'delete', key: 'own', modRevision: 8 } as const;
    assert.equal(history.ends('own', changes(put)), false);
    assert.equal(history.ends('own', changes({ ...gone, key: 'a' })), false);
    assert.equal(history.ends('own', changes(gone, put)), true);
    assert.equal(new History().ends('own', whole(without('own'))), false, 'it was never heard of');
  });
});

describe('changes', () => {
  const gone = (name: string, modRevision: number) =>
    ({ type: 'delete', key: name, modRevision }) as const;

  test('that take most peers away are told, also if some of them are back by the end', () => {
    const back = { type: 'put', entry: key('a', 10) } as const;
    const events = [gone('a', 7), gone('b', 8), gone('c', 9), back];
    assert.equal(known().changes(10, events, WITNESSES), true);
  });

  test('that take few away, or half of many, are as any', () => {
    assert.equal(known().changes(8, [gone('a', 7), gone('b', 8)], WITNESSES), false);
    const history = new History();
    const six = ['a', 'b', 'c', 'd', 'e', 'f'].map((name, index) => key(name, index + 3));
    history.snapshot(9, six, WITNESSES);
    const events = [gone('a', 10), gone('b', 11), gone('c', 12), gone('c', 13)];
    assert.equal(history.changes(13, events, WITNESSES), false);
  });
});
