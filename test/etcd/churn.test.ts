/** The short form of test/long/churn.test.ts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { needs } from '../support/needs.ts';
import { churn } from './churn.ts';

test('2,000 puts and deletes while the connection is cut, delayed and stalled at random: the watch ends as etcd does, for 2 seeds', {
  skip: needs('etcd') ?? false,
  timeout: 180_000,
}, async () => {
  for (const { events, faults } of await churn([1, 2], 2_000)) {
    assert.ok(events > 0);
    assert.ok(faults > 0);
  }
});
