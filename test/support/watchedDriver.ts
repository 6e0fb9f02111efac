/** A route driver that is looked at from outside: what it has done, and that nobody calls it without end. */
import assert from 'node:assert/strict';
import type { Clock } from '../../src/core/index.ts';
import type { RouteDriver, RouteOp } from '../../src/route/index.ts';

const CALLS_AT_ONCE_MAX = 1_000;

/**
 * A driver whose batches are looked at when they are done. One that is called without end while the clock stands still
 * is a loop that would hang the test.
 */
export function watched(
  driver: RouteDriver,
  clock: Clock,
  onApplied: (ops: readonly RouteOp[]) => void,
): RouteDriver {
  let at = -1;
  let calls = 0;
  const counted = (): RouteDriver => {
    calls = at === clock.now() ? calls + 1 : 1;
    at = clock.now();
    assert.ok(calls < CALLS_AT_ONCE_MAX, 'the driver is called in a loop');
    return driver;
  };
  return {
    name: driver.name,
    ...(driver.neighbours && { neighbours: driver.neighbours }),
    dump: async (filter) => counted().dump(filter),
    apply: async (ops) => {
      const result = await counted().apply(ops);
      onApplied(ops);
      return result;
    },
    listen: async (filter, onHint) => counted().listen(filter, onHint),
    close: () => driver.close(),
  };
}
