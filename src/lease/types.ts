/** What a lease is to the rooms around: a subnet, the host that holds it, and its place in etcd. */
import type { Address, Prefix } from '../ip/index.ts';

/** The backend type whose leases become routes. */
export const BACKEND_TYPE = 'host-gw';

/** A well-formed lease: its key and value could be read; whether it is believed is another question (judge). */
export interface Lease {
  /** Its name under `<prefix>/subnets/`, e.g. `10.100.3.0-24` or `10.100.3.0-24&fd00:1:2::-64`. */
  readonly name: string;
  readonly subnet: Prefix | undefined;
  readonly subnet6: Prefix | undefined;
  /** The holder's address, which is the gateway of routes to its subnet. */
  readonly publicIp: Address | undefined;
  readonly publicIp6: Address | undefined;
  readonly backendType: string;
  /** Decimal id of the etcd lease the key hangs on; '0' marks a reservation. */
  readonly etcdLease: string;
  readonly createRevision: number;
  readonly modRevision: number;
}

/** What a lease is judged against: this host's own addresses and links, gathered by the host room. */
export interface Surroundings {
  /** Every address of this host, on every interface. */
  readonly localAddresses: readonly Address[];
  /** Every prefix that is directly connected, on any interface but one that carries our own subnet. */
  readonly connected: readonly Prefix[];
  /** The prefixes connected through the uplink: where a gateway must lie. */
  readonly onLink: readonly Prefix[];
  /** Gateways of this host's default routes. */
  readonly defaultGateways: readonly Address[];
  /** What a subnet of our own must not overlap; default: nothing. */
  readonly unusable?: readonly Prefix[];
}
