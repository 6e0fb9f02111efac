/** A real kernel's neighbour table with many peers on the link: who is reached, with entries kept and without. */
import { systemClock } from '../../../src/core/index.ts';
import type { Address } from '../../../src/ip/index.ts';
import {
  NeighbourKeeper,
  type NeighbourMode,
  type NeighbourReport,
  type NeighbourStatus,
  type Reachability,
  runKeeper,
} from '../../../src/route/neighbours/index.ts';
import type { RouteDriver } from '../../../src/route/types.ts';
import type { LinkPeers } from '../../support/linkPeers.ts';

export const PROTOCOL = 77;

/** A keeper on a real driver, following its hints; `stop` leaves everything as it is, as kill -9 would. */
export class LiveKeeper {
  readonly reached = new Map<string, Reachability>();
  readonly troubles: string[] = [];
  status: NeighbourStatus = { kind: 'idle' };
  readonly #stop = new AbortController();
  readonly #send: ReturnType<typeof runKeeper>;
  readonly #device: number;

  constructor(driver: RouteDriver, device: number, mode: NeighbourMode) {
    const { neighbours } = driver;
    if (neighbours === undefined) throw new Error(`${driver.name} keeps no neighbours`);
    this.#device = device;
    this.#send = runKeeper({
      driver: neighbours,
      core: new NeighbourKeeper({ mode, protocol: PROTOCOL, random: Math.random }),
      clock: systemClock,
      signal: this.#stop.signal,
      onReport: (report) => this.#hear(report),
    });
  }

  want(peers: readonly Address[], wanted = true): void {
    const device = this.#device;
    const changes = peers.map((address) => ({ neighbour: { address, device }, wanted }));
    this.#send({ type: 'wanted', changes });
  }

  complete(): void {
    this.#send({ type: 'complete', complete: true });
  }

  hint(): void {
    this.#send({ type: 'hint' });
  }

  stop(): void {
    this.#stop.abort();
  }

  #hear(report: NeighbourReport): void {
    if (report.type === 'status') this.status = report.status;
    else if (report.type === 'trouble') this.troubles.push(report.reason ?? 'gone');
    else {
      for (const { neighbour, outcome } of report.changes)
        this.reached.set(neighbour.address.text, outcome);
    }
  }
}

/** Sends to all who have not been reached, again and again, until `all` are or the time is over; returns how many were, and when. */
export async function reachAll(
  world: LinkPeers,
  timeoutMs: number,
): Promise<{ readonly count: number; readonly ms: number }> {
  const start = performance.now();
  const seen = new Set<string>();
  let missing = world.peers;
  while (missing.length > 0 && performance.now() - start < timeoutMs) {
    await world.send(missing);
    for (const text of await world.reached()) seen.add(text);
    missing = world.peers.filter(({ text }) => !seen.has(text));
  }
  return { count: seen.size, ms: Math.round(performance.now() - start) };
}

/** How many of all are not reached by one packet each. */
export async function lostInOneRound(world: LinkPeers): Promise<number> {
  await world.reached();
  await world.send();
  // The link is a pair of devices in memory: what has left has arrived.
  return world.peers.length - (await world.reached()).size;
}
