import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { backoffMs, type Core, drive } from '../../src/core/index.ts';
import { ManualClock } from '../support/clock.ts';

type Input = { readonly type: 'add'; readonly amount: number } | { readonly type: 'timer' };
type Output = { readonly type: 'sum'; readonly sum: number };

/** Adds up what it is given; every sum below 3 wants to be woken a second later. */
class Adder implements Core<Input, Output> {
  sum = 0;
  deadline: number | undefined;
  handle(input: Input, now: number): Output[] {
    this.sum += input.type === 'add' ? input.amount : 1;
    this.deadline = this.sum < 3 ? now + 1000 : undefined;
    return [{ type: 'sum', sum: this.sum }];
  }
}

describe('the drive loop', () => {
  test('wakes a core at its deadline and not before', () => {
    const clock = new ManualClock();
    const seen: number[] = [];
    const send = drive<Input, Output>(
      new Adder(),
      (output) => seen.push(output.sum),
      clock,
      new AbortController().signal,
    );
    send({ type: 'add', amount: 1 });
    clock.advance(999);
    assert.deepEqual(seen, [1]);
    clock.advance(1);
    assert.deepEqual(seen, [1, 2]);
    clock.advance(10_000);
    assert.deepEqual(seen, [1, 2, 3]);
  });

  test('an input that an output causes is handled after the outputs before it', () => {
    const seen: number[] = [];
    const send = drive<Input, Output>(
      new Adder(),
      ({ sum }, again) => {
        if (sum === 1) again({ type: 'add', amount: 10 });
        seen.push(sum);
      },
      new ManualClock(),
      new AbortController().signal,
    );
    send({ type: 'add', amount: 1 });
    assert.deepEqual(seen, [1, 11]);
  });

  test('after the abort nothing is handled, performed or woken', () => {
    const clock = new ManualClock();
    const stop = new AbortController();
    const core = new Adder();
    const seen: number[] = [];
    const send = drive<Input, Output>(core, (output) => seen.push(output.sum), clock, stop.signal);
    send({ type: 'add', amount: 1 });
    stop.abort();
    send({ type: 'add', amount: 1 });
    clock.advance(10_000);
    assert.deepEqual([core.sum, seen], [1, [1]]);
    assert.equal(clock.pending, 0);
  });
});

describe('the backoff', () => {
  test('doubles up to its cap and never waits less than half of that', () => {
    const options = { firstMs: 100, maxMs: 1000 };
    assert.deepEqual(
      [1, 2, 3, 4, 5, 99].map((n) => backoffMs(n, options, () => 0)),
      [50, 100, 200, 400, 500, 500],
    );
    assert.deepEqual(
      [1, 4, 5].map((n) => backoffMs(n, options, () => 0.999999)).map(Math.round),
      [100, 800, 1000],
    );
  });
});
