/** What a lease is judged against, seen from one uplink: a view of the host's facts. */
import { type Address, bitsOf, containsPrefix, type Prefix, prefixOf } from '../ip/index.ts';
import type { HostFacts } from './facts.ts';

/** As the lease room's `Surroundings` wants it. */
export interface HostSurroundings {
  readonly localAddresses: readonly Address[];
  readonly connected: readonly Prefix[];
  readonly onLink: readonly Prefix[];
  readonly defaultGateways: readonly Address[];
  /** What a subnet of our own must not overlap. */
  readonly unusable: readonly Prefix[];
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
    unusable: unusable(facts, uplink),
  };
}

/**
 * The networks and routers around this host, but for bridges that are not its uplink: docker0 still carries the subnet
 * of our last run, which is the very one to take again. A LAN around Network does not count, so its hosts do singly.
 */
function unusable(facts: HostFacts, uplink: number | undefined): Prefix[] {
  const around = facts.links.filter(({ index, kind }) => index === uplink || kind !== 'bridge');
  const indexes = new Set(around.map(({ index }) => index));
  const single = (address: Address): Prefix => prefixOf(address, bitsOf(address.family));
  return [
    ...facts.connected.flatMap(({ prefix, device }) => (indexes.has(device) ? prefix : [])),
    ...around.flatMap((link) => link.addresses.map(({ address }) => single(address))),
    ...facts.defaultRoutes.flatMap(({ gateway }) => (gateway ? single(gateway) : [])),
  ];
}
