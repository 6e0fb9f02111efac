/** When the collector is asked: after very many routes were written, twice, and not while more are. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memoryTidier } from '../../src/agent/tidyMemory.ts';
import { ManualClock } from '../support/clock.ts';

function tidier() {
  const clock = new ManualClock();
  const end = new AbortController();
  const at: number[] = [];
  const tell = memoryTidier(clock, end.signal, () => at.push(clock.now()));
  const settled = (writes: number): void =>
    tell?.({ type: 'settled', complete: true, desired: writes, kernel: writes, writes });
  return { clock, end, at, settled };
}

test('memory is given back once routes by the thousands are settled, and once their neighbours are', () => {
  const { clock, at, settled } = tidier();
  const start = clock.now();
  settled(100);
  clock.advance(60_000);
  assert.deepEqual(at, []);
  settled(16_000);
  clock.advance(100);
  settled(5_000);
  clock.advance(60_000);
  assert.deepEqual(
    at.map((time) => time - start),
    [60_300, 70_100],
  );
});

test('the end of the agent ends it', () => {
  const { clock, end, at, settled } = tidier();
  settled(16_000);
  end.abort();
  settled(16_000);
  clock.advance(60_000);
  assert.deepEqual(at, []);
});
