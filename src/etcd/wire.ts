/** Between our types and etcd's messages: int64 arrive as decimal strings, keys and values as bytes. */
import type {
  ICompare,
  IEvent,
  IKeyValue,
  IRangeRequest,
  IRequestOp,
  ITxnRequest,
  ITxnResponse,
} from 'etcd3';
import type { Compare, KeyValue, Transaction, TransactionResult, WatchEvent } from './types.ts';

/** etcd's range of all keys that begin with `prefix`: up to the prefix with its last byte raised. */
export function prefixRange(prefix: string): { readonly key: Buffer; readonly range_end: Buffer } {
  const key = Buffer.from(prefix);
  // An empty prefix means every key, which etcd writes as from \0 to \0. UTF-8 holds no byte 0xff to carry over.
  if (key.length === 0) return { key: Buffer.from([0]), range_end: Buffer.from([0]) };
  const end = Buffer.from(key);
  end[end.length - 1] = (end[end.length - 1] ?? 0) + 1;
  return { key, range_end: end };
}

export function toKeyValue(kv: IKeyValue): KeyValue {
  return {
    key: kv.key.toString('utf8'),
    value: kv.value.toString('utf8'),
    createRevision: Number(kv.create_revision),
    modRevision: Number(kv.mod_revision),
    lease: kv.lease,
  };
}

export function toWatchEvent(event: IEvent): WatchEvent {
  return event.type === 'Delete'
    ? {
        type: 'delete',
        key: event.kv.key.toString('utf8'),
        modRevision: Number(event.kv.mod_revision),
      }
    : { type: 'put', entry: toKeyValue(event.kv) };
}

function toCompare(compare: Compare): ICompare {
  const key = Buffer.from(compare.key);
  switch (compare.is) {
    case 'absent':
      return { key, target: 'Version', result: 'Equal', version: '0' };
    case 'modRevision':
      return { key, target: 'Mod', result: 'Equal', mod_revision: String(compare.revision) };
    case 'lease':
      return { key, target: 'Lease', result: 'Equal', lease: compare.lease };
  }
}

/** etcd3 drops camelCase fields without a word: the raw messages are snake_case. */
export function toTxn(transaction: Transaction): ITxnRequest {
  const compared = [...new Set(transaction.compare.map((compare) => compare.key))];
  return {
    compare: transaction.compare.map(toCompare),
    success: transaction.writes.map((write): IRequestOp => {
      const key = Buffer.from(write.key);
      return write.type === 'put'
        ? { request_put: { key, value: Buffer.from(write.value), lease: write.lease } }
        : { request_delete_range: { key } };
    }),
    failure: compared.map((key): IRequestOp => {
      const range: IRangeRequest = { key: Buffer.from(key) };
      return { request_range: range };
    }),
  };
}

export function toTransactionResult(answer: ITxnResponse): TransactionResult {
  const revision = Number(answer.header.revision);
  if (answer.succeeded) return { succeeded: true, revision };
  const current = answer.responses.flatMap((response) =>
    response.response_range.kvs.map(toKeyValue),
  );
  return { succeeded: false, revision, current };
}
