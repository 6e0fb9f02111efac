/** What comes right after a silence of etcd counts as one change. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { afterSilence } from '../../src/agent/afterSilence.ts';
import type { WatchFeed } from '../../src/etcd/index.ts';
import { ManualClock } from '../support/clock.ts';

const STALE: WatchFeed = { type: 'freshness', state: 'stale', reason: 'no answer' };
const LIVE: WatchFeed = { type: 'freshness', state: 'live', reason: 'answers' };
const gone = (modRevision: number): WatchFeed => ({
  ...{ type: 'changes', revision: modRevision },
  events: [{ type: 'delete', key: 'k', modRevision }],
});
const whole = (revision: number): WatchFeed => ({
  ...{ type: 'snapshot', revision, clusterId: '1', entries: [] },
});

function scene(): { clock: ManualClock; send: (item: WatchFeed) => void; heard: string[] } {
  const clock = new ManualClock();
  const heard: string[] = [];
  const word = (item: WatchFeed): string =>
    item.type === 'freshness'
      ? item.state
      : `${item.type} ${item.revision}${item.type === 'changes' ? ` of ${item.events.length}` : ''}`;
  const signal = new AbortController().signal;
  const send = afterSilence(
    (item, gathered) => heard.push(word(item) + (gathered ? ', gathered' : '')),
    clock,
    signal,
  );
  return { clock, send, heard };
}

describe('after a silence', () => {
  test('the changes of a moment are one, and the view is live after them', () => {
    const { clock, send, heard } = scene();
    for (const item of [gone(1), STALE, LIVE, gone(2), gone(3)]) send(item);
    assert.deepEqual(heard, ['changes 1 of 1', 'stale']);
    clock.advance(300);
    assert.deepEqual(heard.slice(2), ['changes 3 of 2, gathered', 'live, gathered']);
    send(gone(4));
    assert.deepEqual(heard.slice(4), ['changes 4 of 1']);
  });

  test('what comes drop by drop is waited for, but not for ever', () => {
    const { clock, send, heard } = scene();
    for (const item of [STALE, LIVE]) send(item);
    for (let revision = 1; revision <= 20; revision += 1) {
      clock.advance(100);
      send(gone(revision));
    }
    const gathered = ['changes 14 of 14, gathered', 'live, gathered', 'changes 15 of 1'];
    assert.deepEqual(heard.slice(1, 4), gathered);
  });

  test('a whole view comes at once, without what is older than it', () => {
    const { clock, send, heard } = scene();
    for (const item of [STALE, LIVE, gone(2), whole(5), gone(6)]) send(item);
    clock.advance(1_000);
    assert.deepEqual(heard, ['stale', 'snapshot 5, gathered', 'changes 6 of 1']);
  });

  test('the next silence finds nothing held back', () => {
    const { clock, send, heard } = scene();
    for (const item of [STALE, LIVE, gone(2), STALE]) send(item);
    clock.advance(1_000);
    assert.deepEqual(heard, ['stale', 'changes 2 of 1, gathered', 'live, gathered', 'stale']);
  });
});
