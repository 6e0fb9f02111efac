/** The raw clients of etcd3, with what has to be done to have our types from them. */
import type { IEvent, IKeyValue, IWatchResponse } from 'etcd3';
import type { KeyValue, WatchEvent } from '../../src/etcd/index.ts';
import { openReference } from '../../test/support/reference.ts';
import type { ReadingClient } from './reader.ts';

const PAGE_KEYS = '10000';

export function open(endpoint: string): ReadingClient {
  const client = openReference(endpoint);
  return {
    first: (key) => client.kv.range({ key: Buffer.from(key) }),
    async list(prefix) {
      const entries: KeyValue[] = [];
      const range_end = endOf(prefix);
      let key = Buffer.from(prefix);
      let revision = '0';
      for (;;) {
        const page = await client.kv.range({ key, range_end, revision, limit: PAGE_KEYS });
        for (const kv of page.kvs) entries.push(toKeyValue(kv));
        const last = page.kvs.at(-1);
        if (!page.more || last === undefined) return entries;
        revision = page.header.revision;
        key = Buffer.concat([last.key, Buffer.of(0)]);
      }
    },
    async watch(prefix, feed) {
      const stream = await client.watchClient.watch();
      const ended = Promise.withResolvers<void>();
      stream.on('error', () => ended.resolve());
      stream.on('data', ({ events }: IWatchResponse) => feed(events.map(toEvent)));
      const range = { key: Buffer.from(prefix), range_end: endOf(prefix) };
      stream.write({ create_request: { ...range, start_revision: '1' } });
      return () => {
        stream.cancel();
        return ended.promise;
      };
    },
    close: () => client.close(),
  };
}

/** The end of the range of all keys under a prefix that ends in `/`. */
const endOf = (prefix: string): Buffer => Buffer.from(`${prefix.slice(0, -1)}0`);

function toKeyValue(kv: IKeyValue): KeyValue {
  return {
    key: kv.key.toString(),
    value: kv.value.toString(),
    createRevision: Number(kv.create_revision),
    modRevision: Number(kv.mod_revision),
    lease: kv.lease,
  };
}

function toEvent({ type, kv }: IEvent): WatchEvent {
  const entry = toKeyValue(kv);
  if (type === 'Put') return { type: 'put', entry };
  return { type: 'delete', key: entry.key, modRevision: entry.modRevision };
}
