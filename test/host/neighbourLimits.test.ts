/** The kernel's limits on neighbours, where they can be seen and where they cannot. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { readNeighbourLimits } from '../../src/host/index.ts';

test('limits are read for each family; what is not there or is no number is the default', async () => {
  const root = mkdtempSync(join(tmpdir(), 'hostgw-limits-'));
  try {
    assert.deepEqual(await readNeighbourLimits(root), { 4: 1024, 6: 1024 });
    for (const [family, text] of [
      [4, '8192\n'],
      [6, ''],
    ] as const) {
      const folder = join(root, `ipv${family}/neigh/default`);
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, 'gc_thresh3'), text);
    }
    assert.deepEqual(await readNeighbourLimits(root), { 4: 8192, 6: 1024 });
  } finally {
    rmSync(root, { recursive: true });
  }
});
