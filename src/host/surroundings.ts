/** What a lease is judged against, seen from one uplink: a view of the host's facts. */
import { type Address, containsPrefix, type Prefix } from '../ip/index.ts';
import type { HostFacts } from './facts.ts';

/** As the lease room's `Surroundings` wants it. */
export interface HostSurroundings {
  readonly localAddresses: readonly Address[];
  readonly connected: readonly Prefix[];
  readonly onLink: readonly Prefix[];
  readonly defaultGateways: readonly Address[];
}

/**
 * `own`: this host's subnets. A device that carries one (docker0) is no neighbour network, so its prefixes are left out
 * of `connected`; a bridge that still carries another subnet is one, and stays in.
 */
export function surroundingsOf(
  facts: HostFacts,
  uplink: number | undefined,
  own: readonly Prefix[],
): HostSurroundings {
  const carriers = new Set(
    facts.connected
      .filter(({ prefix }) => own.some((subnet) => containsPrefix(subnet, prefix)))
      .map(({ device }) => device),
  );
  const neighbours = facts.connected.filter(
    ({ device }) => device === uplink || !carriers.has(device),
  );
  return {
    localAddresses: facts.links.flatMap((link) => link.addresses.map(({ address }) => address)),
    connected: neighbours.map(({ prefix }) => prefix),
    onLink: facts.connected.filter(({ device }) => device === uplink).map(({ prefix }) => prefix),
    defaultGateways: facts.defaultRoutes.flatMap(({ gateway }) => gateway ?? []),
  };
}
