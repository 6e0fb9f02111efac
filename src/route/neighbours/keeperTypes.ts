/** What the neighbour keeper is told and what it says. */
import type { Random } from '../../core/index.ts';
import type { Family } from '../../ip/index.ts';
import type { ApplyResult } from '../types.ts';
import type { Neighbour, NeighbourFilter, NeighbourOp, NeighbourView } from './types.ts';

/** auto: entries are kept while the gateways are many for the kernel's table. */
export type NeighbourMode = 'auto' | 'on' | 'off';

/** gc_thresh3 of each family's table: how many ordinary entries the kernel holds, over all namespaces. */
export type NeighbourLimits = Readonly<Record<Family, number>>;

/** Whether a gateway answers on the link. unknown: nobody looks, or no answer is known yet. */
export type Reachability = 'reachable' | 'failed' | 'unknown';

/** The gateways of a family are many for its table. */
export interface NeighbourNeed {
  readonly family: Family;
  readonly limit: number;
  /** A power of two above the number of gateways: what gc_thresh1 should be; gc_thresh3 twice as much. */
  readonly room: number;
}

/**
 * idle: the gateways are few. kept: their entries are kept. off: they are many, but the operator wants no entries.
 * unsupported: entries are wanted, but this kernel or `ip` cannot keep them; `need`: and they are many.
 */
export type NeighbourStatus =
  | { readonly kind: 'idle' }
  | { readonly kind: 'kept' }
  | { readonly kind: 'off'; readonly need: NeighbourNeed }
  | {
      readonly kind: 'unsupported';
      readonly reason: string;
      readonly need: NeighbourNeed | undefined;
    };

export interface KeeperOptions {
  readonly mode: NeighbourMode;
  /** Marks our entries, as it marks our routes. */
  readonly protocol: number;
  /** In [0, 1), for the jitter of retries. */
  readonly random: Random;
}

export interface NeighbourChange {
  readonly neighbour: Neighbour;
  readonly wanted: boolean;
}

export type KeeperInput =
  | { readonly type: 'wanted'; readonly changes: readonly NeighbourChange[] }
  /** Whether nothing is wanted but what was told: only then may entries of ours that nobody wants go. */
  | { readonly type: 'complete'; readonly complete: boolean }
  | { readonly type: 'limits'; readonly limits: NeighbourLimits }
  /** Links or addresses may have changed: a lost carrier flushes every entry. */
  | { readonly type: 'hint' }
  | { readonly type: 'dumped'; readonly attempt: number; readonly view: NeighbourView }
  | { readonly type: 'dumpFailed'; readonly attempt: number; readonly reason: string }
  | { readonly type: 'applied'; readonly attempt: number; readonly result: ApplyResult }
  | { readonly type: 'applyFailed'; readonly attempt: number; readonly reason: string };

export interface ReachabilityChange {
  readonly neighbour: Neighbour;
  readonly outcome: Reachability;
}

export type KeeperOutput =
  | { readonly type: 'dump'; readonly attempt: number; readonly filter: NeighbourFilter }
  | { readonly type: 'apply'; readonly attempt: number; readonly ops: readonly NeighbourOp[] }
  /** Only what changed; damped, so that a flapping neighbour is not told of at every flap. */
  | { readonly type: 'reached'; readonly changes: readonly ReachabilityChange[] }
  /** Only on change. */
  | { readonly type: 'status'; readonly status: NeighbourStatus }
  /** Entries cannot be read or written, and are tried again; undefined: they can. Only on change. */
  | { readonly type: 'trouble'; readonly reason: string | undefined };
