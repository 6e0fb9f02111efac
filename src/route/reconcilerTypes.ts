/** What goes into the reconciler and what comes out of it. */
import type { Random } from '../core/index.ts';
import type { Address, Prefix } from '../ip/index.ts';
import type { DeviceLink } from './links.ts';
import type { MetricPolicy } from './metric.ts';
import type { Owner } from './plan.ts';
import type { ApplyResult, DumpFilter, Hint, KernelRoute, RouteOp } from './types.ts';

/** Where packets to a prefix should go; protocol, table and metric are the reconciler's own business. */
export interface WantedRoute {
  readonly gateway: Address;
  /** Interface index of the outgoing device. */
  readonly device: number;
  /** Preferred source address. */
  readonly source?: Address;
}

export interface DesiredChange {
  readonly prefix: Prefix;
  /** Undefined: nobody wants the prefix any more. */
  readonly route: WantedRoute | undefined;
}

export interface ReconcilerOptions extends Owner {
  /** Prefixes inside which routes of every owner matter: Network, once it is known. Default: none yet. */
  readonly within?: readonly Prefix[];
  /** In [0, 1), for the jitter of retries. */
  readonly random: Random;
  /** Default: metric 0 for every route. */
  readonly metrics?: MetricPolicy;
  /** How long a mass loss is held without a change, in milliseconds. Default 600,000. */
  readonly holdMs?: number;
  /** How a device is called in a reason while no `links` have told its name. Default: its index. */
  readonly deviceName?: (device: number) => string;
}

/**
 * What is the matter with one prefix.
 * installed: the route stands. pending: not yet. off-link: the gateway is on none of the device's networks.
 * link-down: the device is gone, down or without carrier. rejected: the kernel refuses, for another reason.
 * conflict: somebody else's route is in the way. contested: somebody keeps undoing ours. held: its lease is gone
 * together with too many others, so the route stays.
 */
export type PeerState =
  | 'installed'
  | 'pending'
  | 'off-link'
  | 'link-down'
  | 'rejected'
  | 'conflict'
  | 'contested'
  | 'held';

export type ReconcilerInput =
  /**
   * Changes of the leases, all at one moment; of several for a prefix the last counts. `complete`: with these the
   * reconciler knows every lease there is, and will from now on. `suspect`: whoever says so may have lost its data, so
   * that not even one route may go by it: losses are held, however few.
   */
  | {
      readonly type: 'desired';
      readonly changes: readonly DesiredChange[];
      readonly complete: boolean;
      readonly suspect?: boolean;
    }
  /** What goes by device `from` goes by `to` from now on, held routes included: the uplink has another index. */
  | { readonly type: 'device'; readonly from: number; readonly to: number }
  | { readonly type: 'within'; readonly prefixes: readonly Prefix[] }
  /** Every link there is. Once told, to be told anew after each hint of links: until then an errno is not interpreted. */
  | { readonly type: 'links'; readonly links: readonly DeviceLink[] }
  | { readonly type: 'dumped'; readonly attempt: number; readonly routes: readonly KernelRoute[] }
  | { readonly type: 'dumpFailed'; readonly attempt: number; readonly reason: string }
  | { readonly type: 'applied'; readonly attempt: number; readonly result: ApplyResult }
  /** The driver refused the batch as a whole. */
  | { readonly type: 'applyFailed'; readonly attempt: number; readonly reason: string }
  | ({ readonly type: 'hint' } & Hint)
  /** The operator's word that a mass loss is meant. */
  | { readonly type: 'confirm' };

/** Why a hold ended: every prefix has returned, nothing changed for `holdMs`, or the operator said so. */
export type HoldEnd = 'returned' | 'expired' | 'confirmed';

export type ReconcilerOutput =
  | { readonly type: 'dump'; readonly attempt: number; readonly filter: DumpFilter }
  | { readonly type: 'apply'; readonly attempt: number; readonly ops: readonly RouteOp[] }
  /** Only where state or reason changed. */
  | {
      readonly type: 'peer';
      readonly prefix: Prefix;
      readonly state: PeerState;
      readonly reason: string;
    }
  /** A prefix that a `peer` told of is neither wanted nor has a route of ours any more. */
  | { readonly type: 'removed'; readonly prefix: Prefix }
  /** `count` of `of` peers are gone at once; their routes stay until `until` (monotonic ms). Said once a hold. */
  | {
      readonly type: 'hold';
      readonly count: number;
      readonly of: number;
      readonly until: number;
    }
  | { readonly type: 'holdCleared'; readonly why: HoldEnd }
  /** Routes get other metrics from now on: spread over so many, 0 for metric 0, because there are so many gateways. */
  | { readonly type: 'metrics'; readonly spread: number; readonly gateways: number }
  /** The dump or the batches as a whole fail, retried with backoff; `reason` undefined: they work again. Only on change. */
  | {
      readonly type: 'trouble';
      readonly about: 'dump' | 'apply';
      readonly reason: string | undefined;
    }
  /**
   * Nothing is in flight and nothing more can be done now; prefixes that wait for a retry have said so as peers.
   * `complete`: the leases are known in full. `desired`: prefixes wanted, held ones included. `kernel`: routes of ours
   * there. `writes`: operations sent since the last time.
   */
  | {
      readonly type: 'settled';
      readonly complete: boolean;
      readonly desired: number;
      readonly kernel: number;
      readonly writes: number;
    };
