/** What gRPC and etcd say, and what people are told: kind, sentence, no secret. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isOfTheEndpoint, toEtcdError } from '../../src/etcd/errors.ts';
import { EtcdError, type EtcdErrorKind } from '../../src/etcd/index.ts';

const URL = 'https://10.0.0.1:2379';
const CUT = 'No connection established. Last error: Error: ';

function grpc(code: number, details: string): Error {
  return Object.assign(new Error(`${code} NAME: ${details}`), { code, details });
}

/** Texts as seen on Bun, Deno and Node against etcd 3.4. */
const TABLE: readonly (readonly [number, string, EtcdErrorKind, RegExp])[] = [
  [
    14,
    `${CUT}connect ECONNREFUSED 10.0.0.1:2379. Resolution note: `,
    'refused',
    /is it running and listening there\?/,
  ],
  [14, 'Name resolution failed for target dns:etcd:2379', 'unreachable', /name cannot be resolved/],
  [
    14,
    `${CUT}connect EHOSTUNREACH 10.0.0.1:2379. Resolution note: `,
    'unreachable',
    /\(connect EHOSTUNREACH 10\.0\.0\.1:2379\): check the network/,
  ],
  [14, 'Connection dropped', 'unreachable', /cannot be reached \(Connection dropped\)/],
  [13, 'EPIPE', 'unreachable', /cannot be reached/],
  [1, 'Call cancelled', 'unreachable', /cannot be reached/],
  [2, 'read ECONNRESET', 'unreachable', /cannot be reached/],
  [4, 'Deadline exceeded', 'timeout', /did not answer in time/],
  [
    14,
    'etcdserver: request timed out, possibly due to previous leader failure',
    'timeout',
    /did not answer in time/,
  ],
  [14, 'etcdserver: no leader', 'no-leader', /has no leader: too few members/],
  [14, 'etcdserver: leader changed', 'no-leader', /has no leader/],
  [
    3,
    'etcdserver: authentication failed, invalid user ID or password',
    'authentication',
    /refused the user or password/,
  ],
  [3, 'etcdserver: user name is empty', 'authentication', /wants a user and password/],
  [16, 'etcdserver: invalid auth token', 'authentication', /refused the user or password/],
  [3, 'etcdserver: revision of auth store is old', 'authentication', /refused/],
  [7, 'etcdserver: permission denied', 'permission', /does not permit/],
  [
    11,
    'etcdserver: mvcc: required revision has been compacted',
    'compacted',
    /has compacted the history/,
  ],
  [
    8,
    'etcdserver: mvcc: database space exceeded',
    'no-space',
    /out of space .*etcdctl alarm disarm/,
  ],
  [11, 'etcdserver: mvcc: required revision is a future revision', 'other', /future revision/],
  [
    14,
    `${CUT}self-signed certificate in certificate chain`,
    'tls',
    /not signed by an authority we trust/,
  ],
  [
    14,
    `${CUT}invalid peer certificate: UnknownIssuer`,
    'tls',
    /not signed by an authority we trust/,
  ],
  [
    14,
    `${CUT}unable to verify the first certificate`,
    'tls',
    /not signed by an authority we trust/,
  ],
  [
    14,
    `${CUT}Hostname/IP does not match certificate's altnames: IP: 10.0.0.1 is not in the cert's list: `,
    'tls',
    /not for this name or address/,
  ],
  [14, `${CUT}certificate has expired`, 'tls', /has expired/],
  [14, `${CUT}ssl/tls alert certificate required`, 'tls', /client certificate/],
  [
    14,
    `${CUT}write EPIPE (2026-01-01T00:00:00.000Z). Resolution note: `,
    'tls',
    /may want a client certificate/,
  ],
  [14, `${CUT}wrong version number`, 'tls', /http:\/\/ rather than https/],
];

describe('errors of etcd', () => {
  for (const [code, text, kind, sentence] of TABLE) {
    test(`${code} ${text.slice(0, 90)} is ${kind}`, () => {
      const error = toEtcdError(grpc(code, text), URL);
      assert.equal(error.kind, kind);
      assert.match(error.message, sentence);
      assert.ok(error.message.startsWith(`etcd at ${URL}`));
      assert.doesNotMatch(error.message, /Resolution note|No connection established|\n/);
    });
  }

  test('a reset on a plain connection is no question of TLS', () => {
    const error = toEtcdError(grpc(14, `${CUT}read ECONNRESET. Resolution note: `), 'http://h:1');
    assert.equal(error.kind, 'unreachable');
  });

  test('what is an EtcdError already stays itself, and anything at all becomes one', () => {
    const error = new EtcdError('compacted', 'gone');
    assert.equal(toEtcdError(error, URL), error);
    for (const thrown of [undefined, null, 7, 'text', {}, new TypeError('x\ny')]) {
      assert.ok(toEtcdError(thrown, URL) instanceof EtcdError);
    }
    assert.ok(toEtcdError(new Error('x'.repeat(10_000)), URL).message.length < 400);
  });

  test('another endpoint is tried for what is of the endpoint, not for what the cluster says', () => {
    const kinds = TABLE.map(([code, text]) => toEtcdError(grpc(code, text), URL));
    const tried = new Set(kinds.filter(isOfTheEndpoint).map((error) => error.kind));
    assert.deepEqual([...tried].sort(), ['no-leader', 'refused', 'timeout', 'tls', 'unreachable']);
  });
});
