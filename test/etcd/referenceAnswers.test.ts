/**
 * etcd's answers, written by etcd3's .proto files, against what we read in them: any field there, absent or empty, 64-bit
 * numbers to their ends, keys that are no text, and in each message fields that we do not know.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc, { type Arbitrary } from 'fast-check';
import {
  AUTHENTICATE,
  LEASE_GRANT,
  LEASE_KEEP_ALIVE,
  LEASE_REVOKE,
  RANGE,
  TXN,
  WATCH,
} from '../../src/etcd/messages.ts';
import { loadReference } from '../support/reference.ts';

/** One of each kind on the wire, between the numbers that are known and up to the highest there is. */
const EXTRAS = {
  extra_varint: { type: 'uint64', id: 9 },
  extra_bytes: { type: 'bytes', id: 30 },
  extra_four: { type: 'fixed32', id: 3_000 },
  extra_eight: { type: 'fixed64', id: 2 ** 29 - 1 },
} as const;
const reference = loadReference(EXTRAS);

const edges = [0n, 1n, 127n, 128n, 2n ** 32n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 63n - 1n];
const within = (min: bigint, max: bigint): Arbitrary<string> =>
  fc
    .oneof(fc.constantFrom(...edges, min, max), fc.maxSafeNat(), fc.bigInt({ min, max }))
    .map(String);
const int64 = within(-(2n ** 63n), 2n ** 63n - 1n);
const uint64 = within(0n, 2n ** 64n - 1n);
const text = fc.string({ unit: 'binary' });
const bytes = fc.oneof(fc.uint8Array(), text).map((one) => Buffer.from(one));
const extras = {
  extra_varint: uint64,
  extra_bytes: bytes,
  extra_four: fc.nat(),
  extra_eight: uint64,
};

/** A message of which any field may be missing. */
const message = <T>(fields: { [K in keyof T]: Arbitrary<T[K]> }) =>
  fc.record({ ...fields, ...extras }, { requiredKeys: [] }) as Arbitrary<Partial<T>>;

interface Header {
  cluster_id: string;
  member_id: string;
  revision: string;
  raft_term: string;
}
interface KeyValue {
  key: Buffer;
  create_revision: string;
  mod_revision: string;
  version: string;
  value: Buffer;
  lease: string;
}
interface Range {
  header: Partial<Header>;
  kvs: Partial<KeyValue>[];
  more: boolean;
  count: string;
}
interface Event {
  type: 'Put' | 'Delete';
  kv: Partial<KeyValue>;
  prev_kv: Partial<KeyValue>;
}

const header = message<Header>({
  cluster_id: uint64,
  member_id: uint64,
  revision: int64,
  raft_term: uint64,
});
const keyValue = message<KeyValue>({
  key: bytes,
  create_revision: int64,
  mod_revision: int64,
  version: int64,
  value: bytes,
  lease: int64,
});
const range = message<Range>({
  header,
  kvs: fc.array(keyValue, { maxLength: 4 }),
  more: fc.boolean(),
  count: int64,
});

/** Exact up to 2^53; all above, and the negative ones that etcd never sends there, are one here: none is taken for a number. */
const BEYOND = Number.POSITIVE_INFINITY;
const numberOf = (of = '0'): number =>
  BigInt(of) < 0n || BigInt(of) > Number.MAX_SAFE_INTEGER ? BEYOND : Number(of);
/** The same 64 bits, read without a sign. */
const idOf = (of = '0'): string => String(BigInt.asUintN(64, BigInt(of)));
const textOf = (of: Buffer = Buffer.alloc(0)): string =>
  new TextDecoder('utf-8', { ignoreBOM: true }).decode(of);
const headerOf = (of: Partial<Header> = {}) => ({
  revision: numberOf(of.revision),
  clusterId: idOf(of.cluster_id),
});
const keyValueOf = (of: Partial<KeyValue>) => ({
  key: textOf(of.key),
  value: textOf(of.value),
  createRevision: numberOf(of.create_revision),
  modRevision: numberOf(of.mod_revision),
  lease: idOf(of.lease),
});
const rangeOf = (of: Partial<Range>) => ({
  header: headerOf(of.header),
  entries: (of.kvs ?? []).map(keyValueOf),
  more: of.more ?? false,
  count: numberOf(of.count),
});

/** What was read, with every number beyond 2^53 as BEYOND. */
function tamed(found: unknown): unknown {
  if (typeof found === 'number') return Number.isSafeInteger(found) ? found : BEYOND;
  if (found instanceof Uint8Array) return Buffer.from(found);
  if (Array.isArray(found)) return found.map(tamed);
  if (typeof found !== 'object' || found === null) return found;
  return Object.fromEntries(Object.entries(found).map(([name, value]) => [name, tamed(value)]));
}

/** For every answer, `wanted` says what we should read in it. */
function holds<Answer extends object>(
  [service, name]: readonly [string, string],
  { decode }: { readonly decode: (bytes: Buffer) => unknown },
  answers: Arbitrary<Answer>,
  wanted: (answer: Answer) => unknown,
): void {
  const { responseSerialize } = reference(service, name);
  fc.assert(
    fc.property(answers, (answer) => {
      assert.deepEqual(tamed(decode(responseSerialize(answer))), wanted(answer));
    }),
    { numRuns: 300 },
  );
}

describe('what the reference writes, we read as it is', () => {
  test('a page, and the key behind its last one byte by byte', () =>
    holds(['KV', 'Range'], RANGE, range, (answer) => {
      const last = answer.more ? answer.kvs?.at(-1)?.key : undefined;
      return { ...rangeOf(answer), nextKey: last && Buffer.concat([last, Buffer.of(0)]) };
    }));

  test('a transaction, whatever its operations answered', () => {
    const put = message({ header, prev_kv: keyValue });
    const deleted = message({ header, deleted: int64, prev_kvs: fc.array(keyValue) });
    const inner = message({ header, succeeded: fc.boolean() });
    // ResponseOp is a oneof: one of them, or none. An empty message is one that is there.
    const operation: Arbitrary<{ response_range?: Partial<Range> }> = fc.oneof(
      fc.record({ response_range: range }),
      fc.record<object>({ response_put: put, extra_varint: uint64 }),
      fc.record<object>({ response_delete_range: deleted, extra_bytes: bytes }),
      fc.record<object>({ response_txn: inner }),
      fc.constant({}),
    );
    const txn = message({
      header,
      succeeded: fc.boolean(),
      responses: fc.array(operation, { maxLength: 5 }),
    });
    holds(['KV', 'Txn'], TXN, txn, (answer) => ({
      header: headerOf(answer.header),
      succeeded: answer.succeeded ?? false,
      ranges: (answer.responses ?? []).flatMap((one) =>
        one.response_range === undefined ? [] : [rangeOf(one.response_range)],
      ),
    }));
  });

  test('a watch, and each of its events', () => {
    const event: Arbitrary<Pick<Event, 'kv'> & Partial<Event>> = fc.record(
      {
        type: fc.constantFrom<Event['type'][]>('Put', 'Delete'),
        kv: keyValue,
        prev_kv: keyValue,
        ...extras,
      },
      { requiredKeys: ['kv'] },
    );
    const watch = message({
      header,
      watch_id: int64,
      created: fc.boolean(),
      canceled: fc.boolean(),
      compact_revision: int64,
      cancel_reason: text,
      fragment: fc.boolean(),
      events: fc.array(event, { maxLength: 5 }),
    });
    holds(['Watch', 'Watch'], WATCH, watch, (answer) => ({
      header: headerOf(answer.header),
      created: answer.created ?? false,
      canceled: answer.canceled ?? false,
      compactRevision: numberOf(answer.compact_revision),
      cancelReason: answer.cancel_reason ?? '',
      events: (answer.events ?? []).map(({ type, kv }) => {
        const entry = keyValueOf(kv);
        if (type !== 'Delete') return { type: 'put', entry };
        return { type: 'delete', key: entry.key, modRevision: entry.modRevision };
      }),
    }));
  });

  test('an event without a key is none', () => {
    const { responseSerialize } = reference('Watch', 'Watch');
    const answer = responseSerialize({ events: [{ type: 'Delete' }] });
    assert.throws(() => WATCH.decode(answer), RangeError);
  });

  test('a lease that was granted, kept or revoked', () => {
    const fields = { header, ID: int64, TTL: int64 };
    const leaseOf = ({ ID, TTL }: { ID?: string; TTL?: string }) => ({
      id: idOf(ID),
      ttl: numberOf(TTL),
    });
    holds(['Lease', 'LeaseGrant'], LEASE_GRANT, message({ ...fields, error: text }), leaseOf);
    holds(['Lease', 'LeaseKeepAlive'], LEASE_KEEP_ALIVE, message(fields), leaseOf);
    holds(['Lease', 'LeaseRevoke'], LEASE_REVOKE, message({ header }), () => undefined);
  });

  test('a token', () =>
    holds(
      ['Auth', 'Authenticate'],
      AUTHENTICATE,
      message({ header, token: text }),
      (answer) => answer.token ?? '',
    ));
});

describe('a lease that was granted with a negative id', () => {
  test('is asked for by the same 64 bits that we read', () => {
    const { responseSerialize, requestDeserialize } = loadReference()('Lease', 'LeaseKeepAlive');
    fc.assert(
      fc.property(int64, (ID) => {
        const { id } = LEASE_KEEP_ALIVE.decode(responseSerialize({ ID }));
        assert.deepEqual(requestDeserialize(LEASE_KEEP_ALIVE.encode(id)), { ID });
      }),
    );
  });
});
