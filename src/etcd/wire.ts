/** Between our types and etcd's requests and answers. */
import type { Operation, TxnAnswer, TxnRequest } from './messages.ts';
import type { Transaction, TransactionResult } from './types.ts';

/** etcd's range of all keys that begin with `prefix`: up to the prefix with its last byte raised. */
export function prefixRange(prefix: string): { readonly key: Buffer; readonly rangeEnd: Buffer } {
  const key = Buffer.from(prefix);
  // An empty prefix means every key, which etcd writes as from \0 to \0. UTF-8 holds no byte 0xff to carry over.
  if (key.length === 0) return { key: Buffer.from([0]), rangeEnd: Buffer.from([0]) };
  const end = Buffer.from(key);
  end[end.length - 1] = (end[end.length - 1] ?? 0) + 1;
  return { key, rangeEnd: end };
}

export function toTxn({ compare, writes }: Transaction): TxnRequest {
  const compared = [...new Set(compare.map(({ key }) => key))];
  const read = (key: string): Operation => ({ type: 'range', range: { key: Buffer.from(key) } });
  return { compare, success: writes, failure: compared.map(read) };
}

export function toTransactionResult({ header, succeeded, ranges }: TxnAnswer): TransactionResult {
  const { revision } = header;
  if (succeeded) return { succeeded, revision };
  return { succeeded, revision, current: ranges.flatMap(({ entries }) => entries) };
}
