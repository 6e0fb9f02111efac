/** What the states of an entry, seen now and then, say about a neighbour. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { v4 } from '../../../src/ip/index.ts';
import { Reach } from '../../../src/route/neighbours/reach.ts';
import { NUD } from '../../../src/route/neighbours/types.ts';

const NEIGHBOUR = { address: v4(1), device: 2 };

type State = keyof typeof NUD | 'missing';

/** The outcomes told while dumps `everyMs` apart show these states. */
function told(states: readonly State[], everyMs = 10_000): string[] {
  const reach = new Reach();
  return states.flatMap((state, index) => {
    const nud = state === 'missing' ? undefined : NUD[state];
    return reach.observe(NEIGHBOUR, nud, index * everyMs) ?? [];
  });
}

const times = (count: number, ...states: State[]): State[] =>
  Array.from({ length: count }, () => states).flat();

test('an answer and a failure are told at once', () => {
  assert.deepEqual(told(['reachable']), ['reachable']);
  assert.deepEqual(told(['failed']), ['failed']);
  assert.deepEqual(told(['missing', 'permanent', 'noarp']), []);
});

test('an entry that is being asked again is what it was', () => {
  assert.deepEqual(told(['reachable', 'stale', 'delay', 'probe', 'reachable']), ['reachable']);
  assert.deepEqual(told(['stale', 'delay', 'probe']), []);
});

test('a managed entry of nobody, which is asked for again and again, has failed and stays so', () => {
  assert.deepEqual(told(['incomplete', 'incomplete', 'failed', 'incomplete', 'failed']), [
    'failed',
  ]);
  assert.deepEqual(told(['incomplete', 'reachable']), ['reachable'], 'slow, but there');
  assert.deepEqual(told(['incomplete', 'incomplete', 'incomplete'], 1_000), [], 'not yet');
});

test('an entry that is gone is unknown, not failed', () => {
  assert.deepEqual(told(['reachable', 'missing', 'reachable']), [
    'reachable',
    'unknown',
    'reachable',
  ]);
});

test('a flapping neighbour is told of ever more rarely, and a calm one at once again', () => {
  const flaps = told(times(180, 'reachable', 'failed'));
  assert.ok(flaps.length <= 3, `${flaps.length} in an hour`);
  const slow = told(times(30, ...times(6, 'reachable'), ...times(6, 'failed')));
  assert.ok(slow.length <= 12, `${slow.length} of 60 changes`);
  assert.deepEqual(
    told([...times(61, 'reachable'), 'failed', ...times(61, 'failed'), 'reachable']),
    ['reachable', 'failed', 'reachable'],
  );
});

test('a neighbour that failed for good after flapping is told as failed in the end', () => {
  const outcomes = told([...times(20, 'reachable', 'failed'), ...times(31, 'failed')]);
  assert.equal(outcomes.at(-1), 'failed');
});
