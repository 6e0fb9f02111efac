/** For tests of the ip driver's processes: which run, and an `ip` that is a script. */
import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Log } from '../../../src/core/index.ts';
import type { RouteDriver } from '../../../src/route/index.ts';
import { openIpDriver } from '../../../src/route/ip/index.ts';
import { silentLog } from '../../support/log.ts';
import { route } from '../samples.ts';
import { kernelWorld, type World } from '../world.ts';

/** The pids of this namespace's `ip monitor` processes, of a kind or of both. */
export function monitors(kind?: 'link' | 'route'): number[] {
  const ours = readlinkSync('/proc/self/ns/net');
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
        const asked = line.includes('monitor') && (kind === undefined || line.includes(kind));
        return asked && readlinkSync(`/proc/${pid}/ns/net`) === ours;
      } catch {
        return false; // It has ended meanwhile.
      }
    })
    .map(Number);
}

export async function inWorld(
  body: (world: World, driver: RouteDriver) => Promise<void>,
  file?: string,
  log: Log = silentLog,
): Promise<void> {
  const world = await kernelWorld(() =>
    openIpDriver({ log, random: () => 0, ...(file !== undefined && { file }) }),
  );
  try {
    await body(world, world.driver);
  } finally {
    await world.close();
  }
}

/** Gives `body` an executable of these shell lines, which can call the real `ip`. */
export async function withScript(
  lines: string,
  body: (file: string) => Promise<void>,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'hostgw-ip-'));
  const file = join(folder, 'ip');
  writeFileSync(file, `#!/bin/sh\n${lines}\n`);
  chmodSync(file, 0o755);
  try {
    await body(file);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

export function routes(device: number, count: number) {
  return Array.from({ length: count }, (_, i) =>
    route(device, `10.${128 + (i >> 8)}.${i & 255}.0/24`, '10.10.10.9'),
  );
}
