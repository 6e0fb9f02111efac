/** The states of the watch core, and what it reads out of events. */
import type { WatchEvent } from './types.ts';

export type State =
  | { readonly name: 'idle' }
  /** Asking what has changed since the saved view. */
  | { readonly name: 'comparing'; readonly attempt: number; readonly until: number }
  | { readonly name: 'listing'; readonly attempt: number; readonly until: number }
  | { readonly name: 'opening'; readonly attempt: number; readonly until: number }
  | Live
  /** begin: compare or list. */
  | { readonly name: 'waiting'; readonly until: number; readonly next: 'begin' | 'open' };

export interface Live {
  readonly name: 'live';
  readonly attempt: number;
  readonly since: number;
  /** When the next probe is due, unless something is heard before. */
  probeAt: number;
  probe: { readonly attempt: number; readonly missedAt: number } | undefined;
  /** When a sign of life is owed. */
  owedAt: number | undefined;
}

/**
 * The revision of the last of these events; undefined if they do not follow in order on revision `after`. Several events
 * of one revision are one transaction; etcd sends them in one response.
 */
export function lastRevision(events: readonly WatchEvent[], after: number): number | undefined {
  let last = after;
  for (const event of events) {
    const at = event.type === 'put' ? event.entry.modRevision : event.modRevision;
    if (at < last || at <= after) return undefined;
    last = at;
  }
  return last;
}

/** How many more keys there are after these events, if each delete was of a key. */
export function growthOf(events: readonly WatchEvent[]): number {
  let growth = 0;
  for (const event of events) {
    if (event.type === 'delete') growth -= 1;
    else if (event.entry.createRevision === event.entry.modRevision) growth += 1;
  }
  return growth;
}
