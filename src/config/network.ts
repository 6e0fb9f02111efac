/** The network config that the cluster keeps in etcd, as flannel defines it: checked once, then plain values. */
import type { Address, Prefix } from '../ip/index.ts';

/** Where subnets of one family come from. */
export interface SubnetRange {
  readonly network: Prefix;
  /** Length of every host's subnet. */
  readonly subnetLength: number;
  /** Address of the first subnet that may be leased. */
  readonly min: Address;
  /** Address of the last subnet that may be leased. */
  readonly max: Address;
}

/** At least one of the two families is present. */
export interface NetworkConfig {
  readonly v4: SubnetRange | undefined;
  readonly v6: SubnetRange | undefined;
}
