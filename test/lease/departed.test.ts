import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Departed } from '../../src/lease/departed.ts';
import { LeaseView } from '../../src/lease/view.ts';
import { NETWORK, valueText } from '../support/leases.ts';

const PREFIX = '/net/subnets/';
const name = (index: number): string => `10.100.${index}.0-24`;

/** The memory behind a view that a test changes. */
function memory(max?: number) {
  const view = new LeaseView(PREFIX);
  const departed = new Departed(max);
  let revision = 1;
  const put = (index: number): void => {
    revision += 1;
    const place = { createRevision: revision, modRevision: revision, lease: '7' };
    const entry = { key: PREFIX + name(index), value: valueText(`10.10.10.${index}`), ...place };
    departed.note(
      view.apply({ type: 'changes', revision, events: [{ type: 'put', entry }] }),
      undefined,
    );
  };
  const remove = (index: number): void => {
    revision += 1;
    const event = { type: 'delete', key: PREFIX + name(index), modRevision: revision } as const;
    departed.note(view.apply({ type: 'changes', revision, events: [event] }), undefined);
  };
  const wipe = (): void =>
    departed.note(view.apply({ type: 'snapshot', revision, entries: [] }), undefined);
  return { departed, put, remove, wipe };
}

describe('the memory of departed subnets', () => {
  test('holds exactly those that were there and are not, the latest last, whatever happened', () => {
    const step = fc.tuple(
      fc.constantFrom('put', 'remove', 'wipe', 'reload'),
      fc.integer({ min: 1, max: 9 }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { departed, put, remove, wipe } = memory();
        const there = new Set<number>();
        let gone: number[] = [];
        for (const [what, index] of steps) {
          if (what === 'put') {
            put(index);
            there.add(index);
            gone = gone.filter((other) => other !== index);
          } else if (what === 'remove' && there.delete(index)) gone.push(index);
          else if (what === 'wipe') {
            wipe();
            gone.push(...there);
            there.clear();
          } else if (what === 'reload') departed.restore(departed.texts);
          if (what === 'remove') remove(index);
        }
        assert.deepEqual(
          departed.texts,
          gone.map((index) => `${name(index)} 10.10.10.${index}`),
        );
      }),
    );
  });

  test('is bounded: the one that left first is forgotten first', () => {
    const { departed, put, remove } = memory(3);
    for (let index = 1; index <= 5; index++) put(index);
    for (const index of [3, 1, 5, 2]) remove(index);
    assert.deepEqual([...departed.subnets.keys()], [1, 5, 2].map(name));
  });

  test('takes what the disk kept as older than what it saw itself, and leaves out what it cannot read', () => {
    const { departed, put, remove } = memory();
    put(4);
    remove(4);
    departed.restore([`${name(9)} 10.10.10.9`, 'nonsense', '', name(8), `${name(4)} 10.10.10.99`]);
    assert.deepEqual(departed.texts, [`${name(9)} 10.10.10.9`, name(8), `${name(4)} 10.10.10.4`]);
  });

  test('keeps nothing that no host could be given: anybody can put and delete keys at will', () => {
    const view = new LeaseView(PREFIX);
    const departed = new Departed();
    const place = { createRevision: 2, modRevision: 2, lease: '7', value: valueText('10.10.10.1') };
    const names = ['x', name(0), '10.101.3.0-24', '10.100.4.0-25', name(3)];
    const entries = names.map((each) => ({ key: PREFIX + each, ...place }));
    departed.note(view.apply({ type: 'snapshot', revision: 2, entries }), NETWORK);
    departed.note(view.apply({ type: 'snapshot', revision: 3, entries: [] }), NETWORK);
    assert.deepEqual([...departed.subnets.keys()], [name(3)]);
  });
});
