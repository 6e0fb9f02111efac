/** Our own session, lists and watch messages. */
import { systemClock } from '../../src/core/index.ts';
import { listPrefix } from '../../src/etcd/list.ts';
import { RANGE, WATCH } from '../../src/etcd/messages.ts';
import { checkOptions } from '../../src/etcd/options.ts';
import { Session } from '../../src/etcd/session.ts';
import { prefixRange } from '../../src/etcd/wire.ts';
import type { ReadingClient } from './reader.ts';

const SILENT = { debug() {}, info() {}, warn() {}, error() {} };

export function open(endpoint: string): ReadingClient {
  const session = new Session(checkOptions({ endpoints: [endpoint] }), systemClock, SILENT);
  return {
    first: (key) => session.idempotent((one) => one.call(RANGE, { key: Buffer.from(key) })),
    list: async (prefix) => (await listPrefix(session, prefix)).entries,
    async watch(prefix, feed) {
      const ended = Promise.withResolvers<void>();
      const one = await session.ready();
      const stream = one.stream(
        WATCH,
        ({ events }) => feed(events),
        () => ended.resolve(),
      );
      stream.write({ type: 'create', ...prefixRange(prefix), startRevision: 1 });
      return () => {
        stream.cancel();
        return ended.promise;
      };
    },
    close: () => session.close(),
  };
}
