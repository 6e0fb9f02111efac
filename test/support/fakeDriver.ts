/** The RouteDriver onto a fake kernel: calls wait their turn, hints follow the filter, a closed driver refuses. */
import { checkOps } from '../../src/route/checkOps.ts';
import {
  type ApplyResult,
  type DumpFilter,
  type KernelRoute,
  type RouteDriver,
  RouteDriverError,
  type RouteOp,
} from '../../src/route/types.ts';
import type { FakeFailures } from './fakeFailures.ts';
import type { FakeHints } from './fakeHints.ts';

/** What the driver needs of its kernel. */
export interface FakeDriverPorts {
  readonly failures: FakeFailures;
  readonly hints: FakeHints;
  /** Does `work` when its turn comes. */
  readonly call: <T>(name: string, work: () => T) => Promise<T>;
  /** The routes as they are now. */
  readonly peek: (filter: DumpFilter) => readonly KernelRoute[];
  /** The dump; of `taken` where that is given. */
  readonly dump: (filter: DumpFilter, taken?: readonly KernelRoute[]) => readonly KernelRoute[];
  readonly apply: (ops: readonly RouteOp[]) => ApplyResult;
}

export function fakeDriver(ports: FakeDriverPorts): RouteDriver {
  let endListening = (): void => {};
  let closed = false;
  const refuseClosed = (): void => {
    if (closed) throw new RouteDriverError('the fake driver is closed');
  };
  return {
    name: 'fake',
    async dump(filter) {
      refuseClosed();
      const taken = ports.failures.take('stale-dump') ? ports.peek(filter) : undefined;
      return ports.call('dump', () => ports.dump(filter, taken));
    },
    async apply(ops) {
      refuseClosed();
      checkOps(ops);
      return ports.call('apply', () => ports.apply(ops));
    },
    async listen(filter, onHint) {
      refuseClosed();
      return ports.call('listen', () => {
        if (ports.failures.take('listen')) throw new RouteDriverError('armed: listen failed');
        refuseClosed();
        endListening();
        endListening = ports.hints.listen(filter, onHint);
      });
    },
    async close() {
      closed = true;
      endListening();
    },
  };
}
