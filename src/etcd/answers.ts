/** Reads etcd's answers (etcd, api/etcdserverpb/rpc.proto and api/mvccpb/kv.proto) straight into our types. */
import type { LeaseAnswer, RangeAnswer, TxnAnswer, WatchAnswer } from './messages.ts';
import { Reader } from './protobuf.ts';
import type { KeyValue, WatchEvent } from './types.ts';
import type { Header } from './watchTypes.ts';

/** What an answer without a header has (a grpc-proxy's to `created`). */
const NO_HEADER: Header = { revision: 0, clusterId: '0' };

function readHeader(reader: Reader): Header {
  let { revision, clusterId } = NO_HEADER;
  for (let field = reader.field(); field !== 0; field = reader.field()) {
    if (field === 1) clusterId = reader.id();
    else if (field === 3) revision = reader.number();
    else reader.skip();
  }
  return { revision, clusterId };
}

function readKeyValue(reader: Reader): KeyValue {
  let key = '';
  let value = '';
  let createRevision = 0;
  let modRevision = 0;
  let lease = '0';
  for (let field = reader.field(); field !== 0; field = reader.field()) {
    if (field === 1) key = reader.text();
    else if (field === 2) createRevision = reader.number();
    else if (field === 3) modRevision = reader.number();
    else if (field === 5) value = reader.text();
    else if (field === 6) lease = reader.id();
    else reader.skip();
  }
  return { key, value, createRevision, modRevision, lease };
}

export function readRange(reader: Reader): RangeAnswer {
  const entries: KeyValue[] = [];
  let header = NO_HEADER;
  let more = false;
  let count = 0;
  for (let field = reader.field(); field !== 0; field = reader.field()) {
    if (field === 1) header = reader.message(readHeader);
    else if (field === 2) entries.push(reader.message(readKeyValue));
    else if (field === 3) more = reader.flag();
    else if (field === 4) count = reader.number();
    else reader.skip();
  }
  return { header, entries, more, count };
}

/** The first key behind the last one of a RangeResponse. By its bytes: what is no UTF-8 is another key as text. */
export function afterLastKey(reader: Reader): Uint8Array | undefined {
  let last: Buffer | undefined;
  for (let field = reader.field(); field !== 0; field = reader.field()) {
    if (field === 2) last = reader.bytes();
    else reader.skip();
  }
  if (last === undefined) return undefined;
  const entry = new Reader(last);
  for (let field = entry.field(); field !== 0; field = entry.field()) {
    if (field === 1) return Buffer.concat([entry.bytes(), Buffer.from([0])]);
    entry.skip();
  }
  return undefined;
}

export function readTxn(reader: Reader): TxnAnswer {
  const ranges: RangeAnswer[] = [];
  let header = NO_HEADER;
  let succeeded = false;
  const readOperation = (operation: Reader): void => {
    for (let field = operation.field(); field !== 0; field = operation.field()) {
      if (field === 1) ranges.push(operation.message(readRange));
      else operation.skip();
    }
  };
  for (let field = reader.field(); field !== 0; field = reader.field()) {
    if (field === 1) header = reader.message(readHeader);
    else if (field === 2) succeeded = reader.flag();
    else if (field === 3) reader.message(readOperation);
    else reader.skip();
  }
  return { header, succeeded, ranges };
}

export function readWatch(reader: Reader): WatchAnswer {
  const events: WatchEvent[] = [];
  let header = NO_HEADER;
  let created = false;
  let canceled = false;
  let compactRevision = 0;
  let cancelReason = '';
  for (let field = reader.field(); field !== 0; field = reader.field()) {
    if (field === 1) header = reader.message(readHeader);
    else if (field === 3) created = reader.flag();
    else if (field === 4) canceled = reader.flag();
    else if (field === 5) compactRevision = reader.number();
    else if (field === 6) cancelReason = reader.text();
    else if (field === 11) events.push(reader.message(readEvent));
    else reader.skip();
  }
  return { header, created, canceled, compactRevision, cancelReason, events };
}

const DELETE = 1;

function readEvent(reader: Reader): WatchEvent {
  let type = 0;
  let entry: KeyValue | undefined;
  for (let field = reader.field(); field !== 0; field = reader.field()) {
    if (field === 1) type = reader.number();
    else if (field === 2) entry = reader.message(readKeyValue);
    else reader.skip();
  }
  if (entry === undefined) throw new RangeError('an event without a key');
  if (type !== DELETE) return { type: 'put', entry };
  return { type: 'delete', key: entry.key, modRevision: entry.modRevision };
}

export function readLease(reader: Reader): LeaseAnswer {
  let id = '0';
  let ttl = 0;
  for (let field = reader.field(); field !== 0; field = reader.field()) {
    if (field === 2) id = reader.id();
    else if (field === 3) ttl = reader.number();
    else reader.skip();
  }
  return { id, ttl };
}

export function readToken(reader: Reader): string {
  let token = '';
  for (let field = reader.field(); field !== 0; field = reader.field()) {
    if (field === 2) token = reader.text();
    else reader.skip();
  }
  return token;
}
