/** Fleets whose view is on disk, for tests of what a host makes of it. */
import assert from 'node:assert/strict';
import { type AgentHost, AgentWorld } from './agentWorld.ts';
import { prefix } from './leases.ts';

/** A lease that lives a minute: days are too many wakes. */
export const TTL_MS = 60_000;
export const SHORT = { leaseTtlSeconds: TTL_MS / 1_000, renewMarginMs: 45_000 };
/** The first write of the view, with its jitter. */
export const WRITTEN_MS = 10_000;

/** A fleet whose views are on disk; the first host of it. */
export async function saved(
  count: number,
  options = {},
): Promise<{ world: AgentWorld; hosts: AgentHost[]; host: AgentHost }> {
  const world = new AgentWorld(1, options);
  const hosts = await world.fleet(count);
  await world.until('READY', () => hosts.every((h) => h.machine.deeds.includes('READY')));
  await world.run(WRITTEN_MS);
  const [host] = hosts;
  assert.ok(host?.machine.view !== undefined);
  return { world, hosts, host };
}

/** The kernel forgets our routes, /run its files: as a reboot does. */
export function reboot(host: AgentHost): void {
  for (const route of host.routes())
    host.kernel.foreignDelete({ prefix: prefix(route.split(' ')[0] ?? '') });
  host.machine.subnetFile = '';
  host.machine.deeds.length = 0;
}

export const said = (host: AgentHost, about: RegExp): string[] =>
  host.log.lines.filter((line) => !line.startsWith('debug ') && about.test(line));
