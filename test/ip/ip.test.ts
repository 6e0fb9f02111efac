import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  type Address,
  addressAt,
  containsAddress,
  containsPrefix,
  isUnicast,
  lastAddress,
  overlaps,
  parseAddress,
  parseInterfaceAddress,
  parsePrefix,
  prefixOf,
  v4,
  v6,
} from '../../src/ip/index.ts';

interface Vectors {
  readonly addresses: readonly { in: string; out: string }[];
  readonly prefixes: readonly { in: string; masked: string }[];
  readonly pairs: readonly { A: string; B: string; Contains: boolean; Overlaps: boolean }[];
}
// Written by Go's net/netip, which flannel's hosts and etcd's keys go by.
const go: Vectors = JSON.parse(readFileSync(new URL('go-netip.json', import.meta.url), 'utf8'));

const address = fc.oneof(
  fc.integer({ min: 0, max: 0xffffffff }).map(v4),
  fc.bigInt({ min: 0n, max: 2n ** 128n - 1n }).map(v6),
);
const prefix = address.chain((base) =>
  fc.integer({ min: 0, max: base.family === 4 ? 32 : 128 }).map((length) => prefixOf(base, length)),
);

function must<T>(value: T | undefined): T {
  assert.notEqual(value, undefined);
  return value as T;
}

describe('addresses and prefixes', () => {
  test("are read and printed as Go's netip does", () => {
    for (const vector of go.addresses) {
      assert.equal(parseAddress(vector.in)?.text ?? '', vector.out, vector.in);
    }
    for (const vector of go.prefixes) {
      assert.equal(parseInterfaceAddress(vector.in)?.prefix.text ?? '', vector.masked, vector.in);
    }
  });

  test("contain and overlap as Go's netip says", () => {
    for (const { A, B, Contains, Overlaps } of go.pairs) {
      const [a, b] = [must(parsePrefix(A)), must(parsePrefix(B))];
      assert.equal(containsPrefix(a, b), Contains, `${A} contains ${B}`);
      assert.equal(overlaps(a, b), Overlaps, `${A} overlaps ${B}`);
    }
  });

  test('survive a round trip through their text', () => {
    fc.assert(fc.property(address, (a) => assert.deepEqual(parseAddress(a.text), a)));
    fc.assert(fc.property(prefix, (p) => assert.deepEqual(parsePrefix(p.text), p)));
  });

  test('a prefix contains its first and last address and none before or behind', () => {
    fc.assert(
      fc.property(prefix, (p) => {
        assert.ok(containsAddress(p, p.address));
        assert.ok(containsAddress(p, lastAddress(p)));
        const next = addressAt(p, BigInt(lastAddress(p).value) - BigInt(p.address.value) + 1n);
        if (BigInt(next.value) > BigInt(p.address.value)) assert.ok(!containsAddress(p, next));
      }),
    );
  });

  test('a prefix with host bits is no prefix, but an interface address', () => {
    assert.equal(parsePrefix('10.1.2.3/24'), undefined);
    assert.equal(parseInterfaceAddress('10.1.2.3/24')?.prefix.text, '10.1.2.0/24');
    assert.equal(parseAddress('fe80::1%eth0'), undefined);
  });

  test('a length outside the bits of the family is refused with its number', () => {
    assert.throws(() => prefixOf(v4(0), 33), /prefix length 33 of 0.0.0.0 is not within 0 to 32/);
  });

  test('only what a host can be addressed by is unicast', () => {
    const unicast = (text: string): boolean => isUnicast(must<Address>(parseAddress(text)));
    for (const text of ['10.0.0.1', '169.254.1.1', '223.255.255.255', 'fd00::1', 'fe80::1']) {
      assert.ok(unicast(text), text);
    }
    for (const text of [
      '0.0.0.0',
      '127.0.0.1',
      '224.0.0.1',
      '255.255.255.255',
      '240.0.0.1',
      '::',
      '::1',
      'ff02::1',
      '::ffff:10.0.0.1',
    ]) {
      assert.ok(!unicast(text), text);
    }
  });
});
