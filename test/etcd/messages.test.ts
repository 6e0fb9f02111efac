/** etcd's messages as hex, made by another implementation (protobufjs, from etcd 3.4's .proto files). */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  AUTHENTICATE,
  LEASE_GRANT,
  LEASE_KEEP_ALIVE,
  LEASE_REVOKE,
  type Method,
  RANGE,
  TXN,
  WATCH,
} from '../../src/etcd/messages.ts';
import { message, messageField, numberField, Reader, textField } from '../../src/etcd/protobuf.ts';

const bytes = (hex: string): Buffer => Buffer.from(hex, 'hex');
const key = (text: string): Buffer => Buffer.from(text);
const MAX_ID = '9223372036854775807';
/** A header of revision 2^53 - 1 with a cluster id beyond 2^63. */
const HEADER = '0a2108b298eaf1948386fccd0110cdd2918bd2b881cf8e0118ffffffffffffff0f2003';
const header = { revision: Number.MAX_SAFE_INTEGER, clusterId: '14841639068965178418' };

describe('a request is written as etcd reads it', () => {
  const written: [string, Buffer, string][] = [
    ['a read of one key', RANGE.encode({ key: key('/a') }), '0a022f61'],
    [
      'a read of a range with all that may be asked',
      RANGE.encode({
        key: key('/a/'),
        rangeEnd: key('/a0'),
        limit: 10_000,
        revision: Number.MAX_SAFE_INTEGER,
        keysOnly: true,
        minModRevision: 300,
      }),
      '0a032f612f12032f613018904e20ffffffffffffff0f400150ac02',
    ],
    [
      'a transaction of every condition and write',
      TXN.encode({
        compare: [
          { key: 'k', is: 'absent' },
          { key: 'k', is: 'modRevision', revision: 128 },
          { key: 'k', is: 'lease', lease: MAX_ID },
        ],
        success: [
          { type: 'put', key: 'k', value: 'ü', lease: '7587848390000000001' },
          { type: 'delete', key: 'd' },
        ],
        failure: [{ type: 'range', range: { key: key('k') } }],
      }),
      '0a09080010001a016b20000a0a080010021a016b3080010a11080010041a016b40ffffffffffffffff7f121312110a016b1202c3bc1881f8e0bb89fddca66912051a030a01641a050a030a016b',
    ],
    [
      'the beginning of a watch',
      WATCH.encode({ type: 'create', key: key('/a/'), rangeEnd: key('/a0'), startRevision: 77 }),
      '0a0e0a032f612f12032f6130184d2001',
    ],
    ['a question for progress', WATCH.encode({ type: 'progress' }), '1a00'],
    ['a grant', LEASE_GRANT.encode({ id: MAX_ID, ttl: 86_400 }), '0880a30510ffffffffffffffff7f'],
    ['a revocation', LEASE_REVOKE.encode('300'), '08ac02'],
    ['a keepalive', LEASE_KEEP_ALIVE.encode('300'), '08ac02'],
    [
      'a login',
      AUTHENTICATE.encode({ name: 'root', password: 'sécret' }),
      '0a04726f6f74120773c3a963726574',
    ],
  ];
  for (const [what, found, hex] of written)
    test(what, () => assert.equal(found.toString('hex'), hex));
});

describe('an answer is read as etcd writes it', () => {
  const first = { key: '/a/1', value: 'eins', createRevision: 5, modRevision: 6, lease: '0' };

  test('a page, with the key that the next one begins with', () => {
    const page = RANGE.decode(
      bytes(
        `${HEADER}12140a042f612f311005180620022a0465696e733000121d0a042f612f32100718ac0220022a047a77656930ffffffffffffffff7f180120807d`,
      ),
    );
    assert.deepEqual(page.entries, [
      first,
      { key: '/a/2', value: 'zwei', createRevision: 7, modRevision: 300, lease: MAX_ID },
    ]);
    assert.deepEqual(page.header, header);
    assert.deepEqual([page.more, page.count], [true, 16_000]);
    assert.deepEqual(page.nextKey && Buffer.from(page.nextKey), key('/a/2\0'));
  });

  test('the key of the next page is behind one that is no UTF-8', () => {
    const entry = message(Buffer.from([0x12, 0x04, 0x0a, 0x02, 0xff, 0xfe]), numberField(3, 1));
    const { nextKey } = RANGE.decode(entry);
    assert.deepEqual(nextKey && [...nextKey], [0xff, 0xfe, 0]);
  });

  test('a failed transaction with what it read, and one that succeeded', () => {
    const inner = HEADER;
    const failed = TXN.decode(
      bytes(`${HEADER}10001a370a35${inner}120e0a016b1005180620022a0176300020011a250a23${inner}`),
    );
    assert.equal(failed.succeeded, false);
    assert.deepEqual(
      failed.ranges.map(({ entries, count }) => [entries.map((one) => one.key), count]),
      [
        [['k'], 1],
        [[], 0],
      ],
    );
    const done = TXN.decode(bytes(`${HEADER}10011a251223${inner}`));
    assert.deepEqual(done, { header, succeeded: true, ranges: [] });
  });

  test('a watch that was created, compacted, and tells of a put and a deletion', () => {
    const read = (hex: string) => WATCH.decode(bytes(HEADER + hex));
    const quiet = {
      header,
      created: false,
      canceled: false,
      compactRevision: 0,
      cancelReason: '',
      events: [],
    };
    assert.deepEqual(read('10001801'), { ...quiet, created: true });
    assert.deepEqual(read('10ffffffffffffffffff01200128e7243207746f6f206f6c64'), {
      ...quiet,
      canceled: true,
      compactRevision: 4711,
      cancelReason: 'too old',
    });
    assert.deepEqual(
      read('10005a18080012140a042f612f311005180620022a0465696e7330005a0c080112080a042f612f321807')
        .events,
      [
        { type: 'put', entry: first },
        { type: 'delete', key: '/a/2', modRevision: 7 },
      ],
    );
  });

  test('a lease that was granted, kept, or is gone, and a token', () => {
    assert.deepEqual(LEASE_GRANT.decode(bytes(`${HEADER}10ac02183c`)), { id: '300', ttl: 60 });
    const kept = LEASE_KEEP_ALIVE.decode(bytes(`${HEADER}10ffffffffffffffff7f1880a305`));
    assert.deepEqual(kept, { id: MAX_ID, ttl: 86_400 });
    assert.equal(LEASE_KEEP_ALIVE.decode(bytes(`${HEADER}10ac021800`)).ttl, 0);
    assert.equal(AUTHENTICATE.decode(bytes(`${HEADER}12056162632e31`)), 'abc.1');
  });

  test('an answer without a header is of no cluster, as a grpc-proxy sends it', () => {
    assert.deepEqual(WATCH.decode(bytes('1801')).header, { revision: 0, clusterId: '0' });
  });
});

describe('the wire format', () => {
  test('gives back every number, id and text', () => {
    fc.assert(
      fc.property(
        fc.maxSafeNat(),
        fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
        fc.string({ unit: 'grapheme' }),
        fc.integer({ min: 1, max: 2 ** 20 }),
        (number, id, text, field) => {
          const reader = new Reader(
            messageField(field, numberField(1, number), numberField(2, id), textField(3, text)),
          );
          assert.equal(reader.field(), field);
          const found = reader.message((inner) => {
            const fields = [inner.field(), inner.number(), inner.field(), inner.id()];
            return [...fields, inner.field(), inner.text(), inner.field()];
          });
          assert.deepEqual(found, [1, number, 2, String(id), 3, text, 0]);
          assert.equal(reader.field(), 0);
        },
      ),
    );
  });

  test('of any bytes either an answer is read or a RangeError says that they are none', () => {
    const methods: Method<never, unknown>[] = [
      RANGE,
      TXN,
      WATCH,
      LEASE_GRANT,
      LEASE_REVOKE,
      LEASE_KEEP_ALIVE,
      AUTHENTICATE,
    ];
    const page = bytes(`${HEADER}12140a042f612f311005180620022a0465696e733000180120807d`);
    const broken = fc
      .tuple(fc.nat({ max: page.length }), fc.uint8Array({ maxLength: 12 }))
      .map(([at, more]) => Buffer.concat([page.subarray(0, at), more]));
    fc.assert(
      fc.property(fc.oneof(broken, fc.uint8Array().map(Buffer.from)), (any) => {
        for (const { decode } of methods) {
          try {
            decode(Buffer.from(any));
          } catch (error) {
            assert.ok(error instanceof RangeError, String(error));
          }
        }
      }),
      { numRuns: 2_000 },
    );
  });

  test('fields that we do not know are read over, whatever their kind', () => {
    const known = numberField(1, 7);
    for (const hex of ['9203026162', '9003ac02', '9503aabbccdd', '9103aabbccddaabbccdd']) {
      const reader = new Reader(Buffer.concat([bytes(hex), known]));
      assert.equal(reader.field(), 50);
      reader.skip();
      assert.deepEqual([reader.field(), reader.number(), reader.field()], [1, 7, 0]);
    }
  });

  test('a message that ends in the middle of a field is refused', () => {
    for (const hex of ['0a', '0a02', '0a0261', '08', '0880', '0d0102', '0901'])
      assert.throws(() => {
        const reader = new Reader(bytes(hex));
        reader.field();
        reader.skip();
      }, RangeError);
  });
});
