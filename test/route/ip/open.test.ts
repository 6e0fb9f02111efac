import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { openIpDriver } from '../../../src/route/ip/index.ts';
import { silentLog } from '../../support/log.ts';

test('a missing ip is named with its cure', async () => {
  await assert.rejects(openIpDriver({ log: silentLog, file: '/nowhere/ip' }), {
    name: 'RouteDriverError',
    message: /\/nowhere\/ip.*ENOENT.*install iproute2/,
  });
});

test("busybox's ip is not taken for iproute2's", async () => {
  const folder = mkdtempSync(join(tmpdir(), 'hostgw-ip-'));
  const file = join(folder, 'ip');
  writeFileSync(file, '#!/bin/sh\necho "ip: invalid option -- V" >&2\nexit 1\n');
  chmodSync(file, 0o755);
  try {
    await assert.rejects(openIpDriver({ log: silentLog, file }), {
      name: 'RouteDriverError',
      message: /not iproute2's.*invalid option.*install iproute2/,
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
});
