/**
 * The methods of etcd's API that we use, with their messages (etcd, api/etcdserverpb/rpc.proto): requests are written here,
 * answers.ts reads what comes back. By hand: a client that reads the .proto files does so at each start.
 */
import { afterLastKey, readLease, readRange, readToken, readTxn, readWatch } from './answers.ts';
import {
  bytesField,
  flagField,
  message,
  messageField,
  numberField,
  type Parts,
  Reader,
  textField,
} from './protobuf.ts';
import type { Compare, KeyValue, WatchEvent, Write } from './types.ts';
import type { Header } from './watchTypes.ts';

/** One method of a gRPC service: where it is, and its messages. */
export interface Method<Request, Answer> {
  readonly path: string;
  readonly encode: (request: Request) => Buffer;
  readonly decode: (bytes: Buffer) => Answer;
}

export interface RangeRequest {
  readonly key: Uint8Array;
  /** Default: the one key. */
  readonly rangeEnd?: Uint8Array;
  readonly limit?: number;
  /** Default: the present one. */
  readonly revision?: number;
  readonly keysOnly?: boolean;
  /** Only keys whose last put is of this revision or a later one. */
  readonly minModRevision?: number;
}

export interface RangeAnswer {
  readonly header: Header;
  readonly entries: readonly KeyValue[];
  /** There are more than the limit. */
  readonly more: boolean;
  /** How many keys the range has, whatever was left out. */
  readonly count: number;
}

/** What of a range follows on a page; undefined: this was the last one. */
export interface PageAnswer extends RangeAnswer {
  readonly nextKey: Uint8Array | undefined;
}

export type Operation = { readonly type: 'range'; readonly range: RangeRequest } | Write;

export interface TxnRequest {
  readonly compare: readonly Compare[];
  readonly success: readonly Operation[];
  readonly failure: readonly Operation[];
}

export interface TxnAnswer {
  readonly header: Header;
  readonly succeeded: boolean;
  /** What the reads found, in order. */
  readonly ranges: readonly RangeAnswer[];
}

export type WatchRequest =
  | {
      readonly type: 'create';
      readonly key: Uint8Array;
      readonly rangeEnd: Uint8Array;
      readonly startRevision: number;
    }
  | { readonly type: 'progress' };

export interface WatchAnswer {
  readonly header: Header;
  readonly created: boolean;
  readonly canceled: boolean;
  /** Not 0: the watch began before this revision, up to which the history is gone. */
  readonly compactRevision: number;
  readonly cancelReason: string;
  readonly events: readonly WatchEvent[];
}

/** Seconds that a lease has left; 0 if it is gone. `id` in decimal. */
export interface LeaseAnswer {
  readonly id: string;
  readonly ttl: number;
}

const service = '/etcdserverpb';

export const RANGE: Method<RangeRequest, PageAnswer> = {
  path: `${service}.KV/Range`,
  encode: (request) => message(...rangeParts(request)),
  decode(bytes) {
    const answer = readRange(new Reader(bytes));
    return { ...answer, nextKey: answer.more ? afterLastKey(new Reader(bytes)) : undefined };
  },
};

export const TXN: Method<TxnRequest, TxnAnswer> = {
  path: `${service}.KV/Txn`,
  encode: ({ compare, success, failure }) =>
    message(
      ...compare.map((one) => messageField(1, ...compareParts(one))),
      ...success.map((one) => messageField(2, operationPart(one))),
      ...failure.map((one) => messageField(3, operationPart(one))),
    ),
  decode: (bytes) => readTxn(new Reader(bytes)),
};

export const WATCH: Method<WatchRequest, WatchAnswer> = {
  path: `${service}.Watch/Watch`,
  encode(request) {
    if (request.type === 'progress') return message(messageField(3));
    const { key, rangeEnd, startRevision } = request;
    const range = [bytesField(1, key), bytesField(2, rangeEnd), numberField(3, startRevision)];
    // progress_notify. No fragments: they cost the server 80 times the CPU, and a revision must never come in parts.
    return message(messageField(1, ...range, flagField(4, true)));
  },
  decode: (bytes) => readWatch(new Reader(bytes)),
};

export const LEASE_GRANT: Method<LeaseAnswer, LeaseAnswer> = {
  path: `${service}.Lease/LeaseGrant`,
  encode: ({ id, ttl }) => message(numberField(1, ttl), numberField(2, BigInt(id))),
  decode: (bytes) => readLease(new Reader(bytes)),
};

export const LEASE_REVOKE: Method<string, undefined> = {
  path: `${service}.Lease/LeaseRevoke`,
  encode: (id) => message(numberField(1, BigInt(id))),
  decode: () => undefined,
};

export const LEASE_KEEP_ALIVE: Method<string, LeaseAnswer> = {
  path: `${service}.Lease/LeaseKeepAlive`,
  encode: (id) => message(numberField(1, BigInt(id))),
  decode: (bytes) => readLease(new Reader(bytes)),
};

/** Gives the token. */
export const AUTHENTICATE: Method<{ readonly name: string; readonly password: string }, string> = {
  path: `${service}.Auth/Authenticate`,
  encode: ({ name, password }) => message(textField(1, name), textField(2, password)),
  decode: (bytes) => readToken(new Reader(bytes)),
};

function rangeParts(request: RangeRequest): Parts {
  const { key, rangeEnd, limit, revision, keysOnly, minModRevision } = request;
  return [
    bytesField(1, key),
    ...(rangeEnd === undefined ? [] : [bytesField(2, rangeEnd)]),
    ...(limit === undefined ? [] : [numberField(3, limit)]),
    ...(revision === undefined ? [] : [numberField(4, revision)]),
    ...(keysOnly === undefined ? [] : [flagField(8, keysOnly)]),
    ...(minModRevision === undefined ? [] : [numberField(10, minModRevision)]),
  ];
}

// Compare.CompareResult and Compare.CompareTarget.
const EQUAL = 0;
const VERSION = 0;
const MOD = 2;
const LEASE = 4;

function compareParts(compare: Compare): Parts {
  const target = (which: number): Parts => [
    numberField(1, EQUAL),
    numberField(2, which),
    textField(3, compare.key),
  ];
  switch (compare.is) {
    case 'absent':
      return [...target(VERSION), numberField(4, 0)];
    case 'modRevision':
      return [...target(MOD), numberField(6, compare.revision)];
    case 'lease':
      return [...target(LEASE), numberField(8, BigInt(compare.lease))];
  }
}

/** RequestOp: a oneof of range, put, delete. */
function operationPart(operation: Operation): Buffer {
  switch (operation.type) {
    case 'range':
      return messageField(1, ...rangeParts(operation.range));
    case 'put': {
      const { key, value, lease } = operation;
      return messageField(2, textField(1, key), textField(2, value), numberField(3, BigInt(lease)));
    }
    case 'delete':
      return messageField(3, textField(1, operation.key));
  }
}
