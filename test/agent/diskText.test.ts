/** How old the disk's word on our own key is. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { hasLapsed, silenceText } from '../../src/agent/diskText.ts';
import type { DiskView } from '../../src/lease/index.ts';

const CONFIRMED = Date.UTC(2026, 0, 2);
const TTL = 60;
const disk = (confirmedAt: number | undefined): DiskView => ({
  ...{ etcdPrefix: '/p', clusterId: '1', revision: 5, witnesses: [], whole: true, entries: [] },
  ...{ config: undefined, departed: [], holding: false, own: undefined, confirmedAt },
});

describe("the disk's word on our own key", () => {
  test('is good for as long as its lease lives', () => {
    const wall = CONFIRMED + TTL * 1_000;
    assert.equal(hasLapsed(disk(CONFIRMED), TTL, wall), false);
    assert.equal(hasLapsed(disk(CONFIRMED), TTL, wall + 1), true);
    assert.equal(silenceText(disk(CONFIRMED), TTL, wall, 'why'), 'why');
  });

  test('is not where etcd never had it', () => {
    assert.equal(hasLapsed(disk(undefined), TTL, CONFIRMED), true);
    assert.match(
      silenceText(disk(undefined), TTL, CONFIRMED, 'why'),
      /^why; .* etcd never, .*another/,
    );
  });

  test('is not where the clock was set back since: nobody knows how old it is', () => {
    const wall = Date.UTC(1970, 0, 1);
    assert.equal(hasLapsed(disk(CONFIRMED), TTL, wall), true);
    assert.match(
      silenceText(disk(CONFIRMED), TTL, wall, 'why'),
      /last at 2026-01-02T00:00:00Z, which this clock says is yet to come, and lives 60 s .* may belong to another one by now$/,
    );
  });
});
