import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { batchInput, batchResult, partsOf, resultOfParts } from '../../../src/route/ip/batch.ts';
import { add, address, append, remove, route } from '../samples.ts';

const v4 = route(3, '10.1.0.0/24', '10.10.10.9');
const v6 = route(3, 'fd01::/64', 'fd00::9');
const ended = (code: number | null, stderr = '') => ({ code, stdout: '', stderr });

describe('the lines for ip -batch', () => {
  test('name protocol, metric, gateway, device and table of every operation', () => {
    const full = { ...v4, metric: 5, table: 1000, source: address('10.10.10.104') };
    const lines = batchInput([add(v4), append(full), remove(v4)], (index) => `if${index}`);
    assert.deepEqual(lines.split('\n'), [
      'route add 10.1.0.0/24 via 10.10.10.9 dev if3 proto 77 metric 0 table 254',
      'route append 10.1.0.0/24 via 10.10.10.9 dev if3 proto 77 metric 5 table 1000 src 10.10.10.104',
      'route del 10.1.0.0/24 via 10.10.10.9 dev if3 proto 77 metric 0 table 254',
      '',
    ]);
  });

  test('say 1024 for IPv6 metric 0, because 0 in a delete means any', () => {
    assert.match(
      batchInput([remove(v6)], () => 'eth0'),
      / metric 1024 /,
    );
  });
});

describe('the end of ip -batch', () => {
  test('without a word and with status 0 is all done', () => {
    assert.deepEqual(batchResult([add(v4)], ended(0)), { kind: 'complete', failures: [] });
  });

  test('names the failed operations by their lines, with errno and sentence', () => {
    const stderr = `Error: Nexthop has invalid gateway.
Command failed -:1
RTNETLINK answers: File exists
Command failed -:3
Cannot find device "if9"
Command failed -:4
`;
    const result = batchResult([add(v4), add(v4), add(v4), add(v4)], ended(1, stderr));
    assert.deepEqual(result, {
      kind: 'complete',
      failures: [
        { index: 0, errno: 101, code: 'ENETUNREACH', message: 'Nexthop has invalid gateway' },
        { index: 2, errno: 17, code: 'EEXIST', message: 'File exists' },
        { index: 3, errno: 19, code: 'ENODEV', message: 'Cannot find device "if9"' },
      ],
    });
  });

  test('a warning is no failure and no sentence of one', () => {
    const stderr =
      'RTNETLINK answers: File exists\nWarning: odd.\nCommand failed -:1\nWarning: odd.\n';
    const result = batchResult([add(v4), add(v4)], ended(1, stderr));
    assert.deepEqual(result.kind === 'complete' && result.failures.map((f) => f.code), ['EEXIST']);
    assert.deepEqual(batchResult([add(v4)], ended(0, 'Warning: odd.\n')).kind, 'complete');
  });

  test('a delete through a device that is gone finds no such route', () => {
    const stderr = 'Cannot find device "if9"\nCommand failed -:1\n';
    const result = batchResult([remove(v4)], ended(1, stderr));
    assert.deepEqual(result.kind === 'complete' && result.failures.map((f) => f.code), ['ESRCH']);
  });

  test('is unknown if ip was killed, ended oddly, or lost the kernel, whatever it said before', () => {
    const failed = 'RTNETLINK answers: File exists\nCommand failed -:1\n';
    const lost = 'netlink receive error No buffer space available (105)\nCommand failed -:1\n';
    for (const result of [
      ended(null),
      ended(null, failed),
      ended(0, failed),
      ended(1),
      ended(2, failed),
      ended(255, 'Cannot open netlink socket: Too many open files'),
      ended(1, lost),
      ended(1, `EOF on netlink\nCommand failed -:1\n`),
    ]) {
      assert.equal(batchResult([add(v4)], result).kind, 'unknown', JSON.stringify(result));
    }
  });

  test('a line that is not of the batch makes it unknown', () => {
    const stderr = 'RTNETLINK answers: File exists\nCommand failed -:2\n';
    assert.equal(batchResult([add(v4)], ended(1, stderr)).kind, 'unknown');
  });

  test('whatever subset fails is the subset reported', () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { minLength: 1, maxLength: 300 }), (fails) => {
        const stderr = fails
          .map((failed, i) =>
            failed ? `RTNETLINK answers: No such process\nCommand failed -:${i + 1}\n` : '',
          )
          .join('');
        const ops = fails.map(() => remove(v4));
        const result = batchResult(ops, ended(fails.includes(true) ? 1 : 0, stderr));
        assert.ok(result.kind === 'complete');
        const expected = fails.flatMap((failed, index) => (failed ? [index] : []));
        assert.deepEqual(
          result.failures.map((f) => f.index),
          expected,
        );
      }),
    );
  });

  test('no text makes it throw', () => {
    fc.assert(
      fc.property(fc.string(), fc.option(fc.nat(3)), (stderr, code) => {
        batchResult([add(v4)], ended(code, stderr));
      }),
    );
  });
});

describe('a batch in parts', () => {
  const many = (count: number, kind = add) =>
    Array.from({ length: count }, (_, i) =>
      kind(route(3, `10.${i >> 8}.${i & 255}.0/24`, '10.10.10.9')),
    );

  test('is many operations of one kind, each about a prefix of its own', () => {
    for (const kind of [add, append, remove]) {
      const ops = many(1001, kind);
      const parts = partsOf(ops);
      assert.deepEqual(
        parts.map(({ length }) => length),
        [500, 501],
      );
      assert.deepEqual(parts.flat(), ops);
    }
    const whole = [many(999), [...many(1000), remove(v4)], [...many(1000), add(v4)]];
    for (const ops of whole) assert.deepEqual(partsOf(ops), [ops]);
  });

  test('has the failures of each part at their operations', () => {
    const parts = partsOf(many(1000));
    const failed = ended(1, 'RTNETLINK answers: File exists\nCommand failed -:3\n');
    const result = resultOfParts(parts, [failed, failed]);
    assert.ok(result.kind === 'complete');
    assert.deepEqual(
      result.failures.map(({ index, code }) => `${index} ${code}`),
      ['2 EEXIST', '502 EEXIST'],
    );
  });

  test('is unknown if a part of it is', () => {
    const parts = partsOf(many(1000));
    for (const results of [[ended(0), ended(null)], [ended(null), ended(0)], [ended(0)]])
      assert.equal(resultOfParts(parts, results).kind, 'unknown');
  });
});
