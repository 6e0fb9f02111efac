/** What the lease side is given, and what the rest of the agent hears from it. */
import type { NetworkConfig } from '../config/index.ts';
import type {
  BookChanges,
  DiskView,
  HeldSubnet,
  LostSubnet,
  OwnState,
  OwnStatus,
  Subnets,
} from '../lease/index.ts';

export interface LeaseSideOptions {
  /** E.g. `/coreos.com/network`. */
  readonly etcdPrefix: string;
  readonly ttlSeconds: number;
  readonly renewMarginMs: number;
  readonly lost: LostSubnet;
  readonly state: OwnState | undefined;
  /** Name of the key that is ours as far as this host remembers. */
  readonly ours: string | undefined;
  /** The last view on disk. */
  readonly disk: DiskView | undefined;
  readonly previous: Subnets;
  readonly seed: string;
  readonly signal: AbortSignal;
}

/** What the rest of the agent hears. */
export interface LeaseSideEvents {
  /**
   * `complete`: with these changes the routes are those of one complete view of the leases. `suspect`: etcd may have
   * lost its data, so what is missing proves nothing.
   */
  routes(changes: BookChanges, complete: boolean, suspect: boolean): void;
  /** The config that counts from now on. */
  config(config: NetworkConfig): void;
  /** A config that does not count, with the reason; undefined: that is over. */
  configTrouble(sentence: string | undefined): void;
  /** What is legal but deserves one warning. */
  warning(sentence: string): void;
  /** The leases are those on disk, one sentence; undefined: that is over. */
  stale(sentence: string | undefined): void;
  /** The subnet that will be held unless etcd has another word: nobody may be told yet. */
  expected(lease: HeldSubnet): void;
  /** It will not be: etcd, or the view on disk, knows better. */
  unexpected(): void;
  held(lease: HeldSubnet): void;
  own(status: OwnStatus, sentence: string): void;
  /** The state on disk is not what it should be, with the reason; undefined: it is again. */
  unsaved(reason: string | undefined): void;
  /** The view on disk is not what it should be, with the reason; undefined: it is again. */
  viewUnsaved(reason: string | undefined): void;
  freshness(state: 'live' | 'stale', reason: string): void;
}
