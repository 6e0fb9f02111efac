/** What the core of our own subnet takes and gives. */
import type { NetworkConfig } from '../config/index.ts';
import type { BackoffOptions, Random } from '../core/index.ts';
import type { Prefix } from '../ip/index.ts';
import type { PublicAddresses, Subnets } from './codec.ts';
import type { DepartedSubnets } from './departed.ts';
import type { KeeperState } from './keeper.ts';
import type { KeyAnswer, KeyTransaction, StoredKey } from './keys.ts';
import type { OwnState } from './state.ts';
import type { Leases } from './view.ts';

export type ConfigState =
  | { readonly kind: 'missing' }
  /** One sentence that names the field, the value and the rule. */
  | { readonly kind: 'invalid'; readonly reason: string }
  | { readonly kind: 'valid'; readonly config: NetworkConfig };

export type OwnInput =
  | { readonly type: 'config'; readonly config: ConfigState }
  /** A complete view, and what left it before; both may be the same, changed maps each time. */
  | {
      readonly type: 'view';
      readonly revision: number;
      readonly leases: Leases;
      readonly departed?: DepartedSubnets;
      /** It contradicts what was known before: etcd was restored, replaced or wiped. */
      readonly otherHistory?: boolean;
    }
  | { readonly type: 'keeper'; readonly state: KeeperState }
  /** This host's addresses on its uplink. */
  | ({ readonly type: 'addresses' } & PublicAddresses)
  /** This host's own networks: a new subnet overlaps none of them. */
  | { readonly type: 'unusable'; readonly prefixes: readonly Prefix[] }
  /**
   * Etcd has not confirmed our key for so long that a subnet held by the disk's word is to be told; why, as a clause.
   * `leases`: those of the view on disk, for as long as etcd has shown none.
   */
  | { readonly type: 'silent'; readonly reason: string; readonly leases: Leases }
  | { readonly type: 'persisted'; readonly attempt: number }
  | { readonly type: 'transacted'; readonly attempt: number; readonly answer: KeyAnswer }
  | {
      readonly type: 'readBack';
      readonly attempt: number;
      readonly entry: StoredKey | undefined;
    }
  /** Of a persist, transact or read. A transaction that failed may have been done all the same. */
  | { readonly type: 'failed'; readonly attempt: number; readonly reason: string };

/** How our key has to be for a put to be done. */
export type Condition =
  | { readonly is: 'absent' }
  | { readonly is: 'modRevision'; readonly revision: number };

export interface HeldSubnet extends Subnets, PublicAddresses {
  readonly name: string;
  /** A key that the operator made for us, without an etcd lease. */
  readonly reservation: boolean;
}

export type OwnStatus =
  | 'waiting'
  | 'choosing'
  | 'creating'
  | 'held'
  /** Etcd has not confirmed it for too long; nothing speaks against it. */
  | 'doubtful'
  /** Somebody else writes our key, perhaps by right. */
  | 'contested'
  | 'recreating'
  | 'superseded'
  | 'full';

/** Each persist, transact and read is answered by one input with its attempt number; one is under way at a time. */
export type OwnOutput =
  | { readonly type: 'persist'; readonly attempt: number; readonly state: OwnState }
  | {
      readonly type: 'transact';
      readonly attempt: number;
      readonly transaction: KeyTransaction;
    }
  | { readonly type: 'read'; readonly attempt: number; readonly key: string }
  /** For the keeper. */
  | { readonly type: 'want'; readonly id: string }
  /**
   * The subnet is ours; once per change. It stays ours until the process ends, whatever the status says, or until
   * another one is held in its place (`lost: 'replace'`).
   */
  | { readonly type: 'held'; readonly lease: HeldSubnet }
  /** Once per change. */
  | { readonly type: 'status'; readonly status: OwnStatus; readonly sentence: string };

export type LostSubnet = 'wait' | 'replace';

export interface OwnOptions {
  /** Named in sentences, e.g. `/coreos.com/network/config`. */
  readonly configKey: string;
  /** Ends in `/subnets/`. */
  readonly subnetsPrefix: string;
  /** What was on disk. */
  readonly state: OwnState | undefined;
  /** From the subnet file. */
  readonly previous: Subnets | undefined;
  /** The host's identity: where it starts looking for a free subnet. */
  readonly seed: string;
  /** What to do when another host proves to own our subnet. Default: wait until its key goes. */
  readonly lost?: LostSubnet;
  /** A random etcd lease id, decimal, 1 to 2^63-1. */
  readonly newLeaseId: () => string;
  readonly retry: BackoffOptions;
  readonly random: Random;
}
