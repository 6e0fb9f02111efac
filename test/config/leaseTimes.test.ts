import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { agentOptions } from '../../src/config/index.ts';

const options = (flags: Record<string, string>, env: NodeJS.ProcessEnv = {}) =>
  agentOptions(new Map(Object.entries(flags).map(([name, word]) => [name, [word]])), env);

describe("the lease's times", () => {
  test("are flannel's unless said otherwise", () => {
    const { leaseTtlSeconds, renewMarginMs, lostSubnet } = options({});
    assert.deepEqual([leaseTtlSeconds, renewMarginMs, lostSubnet], [86_400, 3_600_000, 'wait']);
  });

  for (const [word, seconds] of [
    ['60', 60],
    ['24h', 86_400],
    ['1h30m', 5_400],
    ['1.5h', 5_400],
    ['90s', 90],
    ['5.5s', 6],
  ] as const)
    test(`take ${word} for ${seconds} seconds`, () => {
      assert.equal(options({ 'subnet-lease-ttl': word }).leaseTtlSeconds, seconds);
    });

  for (const word of ['4', '0', '-1', '24 h', '1d', 'h', '1h30', '500h1000000h', '1e3'])
    test(`refuse ${JSON.stringify(word)}, with the form`, () => {
      assert.throws(() => options({ 'subnet-lease-ttl': word }), {
        name: 'RangeError',
        message: /^--subnet-lease-ttl is ".*": it must be a time from 5 to \d+ seconds, such as/,
      });
    });

  test('with a margin that is not shorter than the lease lives are refused, wherever they were given', () => {
    const message =
      /^FLANNELD_SUBNET_LEASE_RENEW_MARGIN is 10 minutes, but --subnet-lease-ttl is 10m: the margin must be shorter/;
    const env = { FLANNELD_SUBNET_LEASE_RENEW_MARGIN: '10' };
    assert.throws(() => options({ 'subnet-lease-ttl': '10m' }, env), { message });
    assert.equal(options({ 'subnet-lease-ttl': '11m' }, env).renewMarginMs, 600_000);
  });

  test("with a lease shorter than flannel's margin do without a margin that nobody asked for", () => {
    assert.equal(options({ 'subnet-lease-ttl': '60' }).renewMarginMs, 0);
  });
});
