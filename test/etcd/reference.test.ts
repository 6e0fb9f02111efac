/**
 * Our messages against etcd3's .proto files, all seven methods: what we write is read there as it was meant, and what is
 * written there, by an etcd that sends more than we know, is read by us as it is.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc, { type Arbitrary } from 'fast-check';
import {
  AUTHENTICATE,
  LEASE_GRANT,
  LEASE_KEEP_ALIVE,
  LEASE_REVOKE,
  type Operation,
  RANGE,
  type RangeRequest,
  TXN,
  WATCH,
} from '../../src/etcd/messages.ts';
import type { Compare } from '../../src/etcd/types.ts';
import { loadReference } from '../support/reference.ts';

const NOTHING = Buffer.alloc(0);
const text = fc.string({ unit: 'binary' });
const anyBytes = fc.oneof(fc.uint8Array(), text).map((one) => Buffer.from(one));
/** Around the lengths of a varint, and the ends of what a double holds. */
const edges = [0n, 127n, 128n, 2n ** 31n, 2n ** 32n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 63n - 1n];
const natural = fc.oneof(fc.constantFrom(...edges.slice(0, 6)).map(Number), fc.maxSafeNat());
const upTo = (max: bigint): Arbitrary<string> =>
  fc.oneof(fc.constantFrom(...edges), fc.bigInt({ min: 0n, max })).map(String);
const lease = upTo(2n ** 63n - 1n);

describe('what we write, the reference reads as it was meant', () => {
  const reference = loadReference();
  const key = (of: string): Buffer => Buffer.from(of);

  /** For every request, `meant` says what it is in the reference's words: there every field has a value. */
  function holds<Request>(
    [service, name]: readonly [string, string],
    { encode }: { readonly encode: (request: Request) => Buffer },
    requests: Arbitrary<Request>,
    meant: (request: Request) => object,
  ): void {
    const { requestDeserialize } = reference(service, name);
    fc.assert(
      fc.property(requests, (request) => {
        assert.deepEqual(requestDeserialize(encode(request)), meant(request));
      }),
    );
  }

  const ranges: Arbitrary<RangeRequest> = fc.record(
    {
      key: anyBytes,
      rangeEnd: anyBytes,
      limit: natural,
      revision: natural,
      keysOnly: fc.boolean(),
      minModRevision: natural,
    },
    { requiredKeys: ['key'] },
  );
  const rangeMeant = (range: RangeRequest): object => ({
    key: range.key,
    range_end: range.rangeEnd ?? NOTHING,
    limit: String(range.limit ?? 0),
    revision: String(range.revision ?? 0),
    sort_order: 'None',
    sort_target: 'Key',
    serializable: false,
    keys_only: range.keysOnly ?? false,
    count_only: false,
    min_mod_revision: String(range.minModRevision ?? 0),
    max_mod_revision: '0',
    min_create_revision: '0',
    max_create_revision: '0',
  });

  test('a read of a key or a range', () => holds(['KV', 'Range'], RANGE, ranges, rangeMeant));

  test('a transaction', () => {
    const compares: Arbitrary<Compare> = fc.oneof(
      fc.record({ key: text, is: fc.constant('absent') }),
      fc.record({ key: text, is: fc.constant('modRevision'), revision: natural }),
      fc.record({ key: text, is: fc.constant('lease'), lease }),
    );
    const operations: Arbitrary<Operation> = fc.oneof(
      fc.record({ type: fc.constant('range'), range: ranges }),
      fc.record({ type: fc.constant('put'), key: text, value: text, lease }),
      fc.record({ type: fc.constant('delete'), key: text }),
    );
    const compareMeant = (compare: Compare): object => {
      const on = { result: 'Equal', key: key(compare.key), range_end: NOTHING };
      if (compare.is === 'absent')
        return { ...on, target: 'Version', target_union: 'version', version: '0' };
      if (compare.is === 'lease')
        return { ...on, target: 'Lease', target_union: 'lease', lease: compare.lease };
      const mod_revision = String(compare.revision);
      return { ...on, target: 'Mod', target_union: 'mod_revision', mod_revision };
    };
    const operationMeant = (operation: Operation): object => {
      if (operation.type === 'range')
        return { request: 'request_range', request_range: rangeMeant(operation.range) };
      const on = { key: key(operation.key), prev_kv: false };
      if (operation.type === 'delete') {
        const request_delete_range = { ...on, range_end: NOTHING };
        return { request: 'request_delete_range', request_delete_range };
      }
      const written = { value: key(operation.value), lease: operation.lease };
      const request_put = { ...on, ...written, ignore_value: false, ignore_lease: false };
      return { request: 'request_put', request_put };
    };
    const txns = fc.record({
      compare: fc.array(compares),
      success: fc.array(operations),
      failure: fc.array(operations),
    });
    holds(['KV', 'Txn'], TXN, txns, ({ compare, success, failure }) => ({
      compare: compare.map(compareMeant),
      success: success.map(operationMeant),
      failure: failure.map(operationMeant),
    }));
  });

  test('the beginning of a watch, and a question for progress', () => {
    const range = { key: anyBytes, rangeEnd: anyBytes };
    const creates = fc.record({
      type: fc.constant('create' as const),
      ...range,
      startRevision: natural,
    });
    holds(['Watch', 'Watch'], WATCH, creates, (request) => ({
      request_union: 'create_request',
      create_request: {
        key: request.key,
        range_end: request.rangeEnd,
        start_revision: String(request.startRevision),
        progress_notify: true,
        filters: [],
        prev_kv: false,
        watch_id: '0',
        fragment: false,
      },
    }));
    const asks = fc.record({ type: fc.constant('progress' as const) });
    const progress = { request_union: 'progress_request', progress_request: {} };
    holds(['Watch', 'Watch'], WATCH, asks, () => progress);
  });

  test('a grant, a keepalive, a revocation', () => {
    const grants = fc.record({ id: lease, ttl: natural });
    const grantMeant = ({ id, ttl }: { id: string; ttl: number }): object => ({
      ID: id,
      TTL: String(ttl),
    });
    holds(['Lease', 'LeaseGrant'], LEASE_GRANT, grants, grantMeant);
    holds(['Lease', 'LeaseKeepAlive'], LEASE_KEEP_ALIVE, lease, (ID) => ({ ID }));
    holds(['Lease', 'LeaseRevoke'], LEASE_REVOKE, lease, (ID) => ({ ID }));
  });

  test('a login', () => {
    const logins = fc.record({ name: text, password: text });
    holds(['Auth', 'Authenticate'], AUTHENTICATE, logins, (login) => ({ ...login }));
  });
});
