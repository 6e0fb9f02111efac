/** What goes into the watch core, what comes out, and its times. */
import type { BackoffOptions } from '../core/index.ts';
import type { KeyValue, SavedView, WatchEvent, WatchFeed } from './types.ts';

/** Where an answer comes from: the store's revision and the cluster's id, '0' if the answer holds none (grpc-proxy). */
export interface Header {
  readonly revision: number;
  readonly clusterId: string;
}

/** What has changed since a saved view, all at one revision. */
export interface Since {
  readonly header: Header;
  /** The keys whose last put is younger than the view. */
  readonly changed: readonly KeyValue[];
  /** There are more than `changed`. */
  readonly more: boolean;
  /** How many keys there are in all. */
  readonly count: number;
  /** The witnesses that exist, as they are. */
  readonly witnesses: readonly KeyValue[];
}

/** A key as it was at a revision of a cluster that has been fed or saved; undefined: it was not there. */
export interface Witness extends Header {
  readonly key: string;
  readonly entry: KeyValue | undefined;
  /** How many keys there were in all: of an etcd that was set up anew in the same order, one may stand just so. */
  readonly count?: number;
  /** Where the key was not there: one that was. An empty etcd lacks every key that was ever deleted. */
  readonly standing?: KeyValue | undefined;
}

/** Every answer carries the attempt number of the request that it answers; an answer to an older one is dropped. */
export type WatchInput =
  | { readonly type: 'start'; readonly saved?: SavedView | undefined }
  | ({ readonly type: 'since'; readonly attempt: number } & Since)
  | {
      readonly type: 'listed';
      readonly attempt: number;
      readonly header: Header;
      readonly entries: readonly KeyValue[];
    }
  | { readonly type: 'opened'; readonly attempt: number; readonly header: Header }
  | {
      readonly type: 'events';
      readonly attempt: number;
      readonly header: Header;
      readonly events: readonly WatchEvent[];
    }
  /** The stream is alive; its header is no proof that events up to there have arrived (etcd 3.4). */
  | { readonly type: 'progress'; readonly attempt: number; readonly header: Header }
  | { readonly type: 'probed'; readonly attempt: number; readonly header: Header }
  /** The witness says that this etcd's history is not the one that was fed or saved. */
  | { readonly type: 'foreign'; readonly attempt: number }
  /** The events asked for are gone from etcd's history. */
  | { readonly type: 'compacted'; readonly attempt: number }
  | { readonly type: 'failed'; readonly attempt: number; readonly reason: string };

export type WatchOutput =
  | { readonly type: 'list'; readonly attempt: number }
  /** Read what has changed from revision `from` on, and the witnesses; answered by `since` or `failed`. */
  | {
      readonly type: 'compare';
      readonly attempt: number;
      readonly from: number;
      readonly witnesses: readonly string[];
      readonly witness: Witness | undefined;
    }
  /** With a witness: only if it is found as it was; else `foreign`, or `compacted` where that cannot be known any more. */
  | {
      readonly type: 'open';
      readonly attempt: number;
      readonly from: number;
      readonly witness: Witness | undefined;
    }
  /** progress: ask the stream of this attempt for a sign of life. probe: a cheap read, answered by `probed` or `failed`. */
  | { readonly type: 'ask'; readonly attempt: number; readonly what: 'progress' | 'probe' }
  /** End the stream of this attempt. `stalled`: it was silent when it owed something, so its endpoint is suspect. */
  | { readonly type: 'cancel'; readonly attempt: number; readonly stalled: boolean }
  | { readonly type: 'feed'; readonly item: WatchFeed };

/** All in milliseconds. */
export interface WatchTimes {
  /** After so long without a word a probe is sent; see `quietMs`. */
  readonly quietMs: number;
  readonly quietMaxMs: number;
  /** A probe without an answer for so long is a missed one. */
  readonly probeMs: number;
  /** A stream that a probe has shown to be behind must give a sign of life in this time; see `Debt`. */
  readonly owedMs: number;
  readonly owedMaxMs: number;
  /** A list or an opening without an answer for so long has failed. The rim answers sooner. */
  readonly listMs: number;
  readonly openMs: number;
  readonly backoff: BackoffOptions;
}

export const WATCH_TIMES: WatchTimes = {
  quietMs: 2_000,
  quietMaxMs: 17_000,
  probeMs: 3_000,
  owedMs: 2_000,
  owedMaxMs: 300_000,
  listMs: 60_000,
  openMs: 5_000,
  backoff: { firstMs: 50, maxMs: 1_000 },
};

const KEYS_PER_QUIET = 1_000;

/**
 * How long silence may last before a probe. Every host probes: so that all of them together ask etcd no more of it, each
 * asks more rarely where there are many.
 */
export function quietMs(times: WatchTimes, keys: number): number {
  return Math.min(times.quietMaxMs, times.quietMs * Math.max(1, keys / KEYS_PER_QUIET));
}

const SPREAD_KEYS_PER_MS = 20;
const SPREAD_MAX_MS = 300;

/** Over how long hosts that start together spread their first read. */
export function spreadMs(keys: number): number {
  return Math.min(SPREAD_MAX_MS, keys / SPREAD_KEYS_PER_MS);
}
