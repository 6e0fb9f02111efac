/**
 * Lets what comes right after a silence of etcd count as one change. It arrives in pieces, and of hosts that were all cut
 * off for longer than their leases live it is first that each has gone, then that one after the other is back: piece by
 * piece no loss is a mass loss.
 */
import type { Clock } from '../core/index.ts';
import type { WatchEvent, WatchFeed } from '../etcd/index.ts';

/** All is there when nothing more has come for so long; but nobody waits longer than GATHER_MAX_MS. */
const GATHER_MS = 300;
const GATHER_MAX_MS = 1_500;

/** `gathered`: it came right after a silence. */
type Feed = (item: WatchFeed, gathered: boolean) => void;

/** `feed`, behind which what comes first after `stale` is gathered. */
export function afterSilence(
  feed: Feed,
  clock: Clock,
  signal: AbortSignal,
): (item: WatchFeed) => void {
  let silent = false;
  let gathered: WatchFeed[] | undefined;
  let until = 0;
  let cancel = (): void => {};
  const pass = (): void => {
    cancel();
    const items = gathered ?? [];
    gathered = undefined;
    for (const item of merged(items)) feed(item, true);
  };
  signal.addEventListener('abort', () => cancel(), { once: true });
  return (item) => {
    if (item.type === 'freshness' && item.state === 'stale') {
      if (gathered !== undefined) pass();
      silent = true;
      return feed(item, false);
    }
    if (silent) {
      silent = false;
      gathered = [];
      until = clock.now() + GATHER_MAX_MS;
    }
    if (gathered === undefined) return feed(item, false);
    gathered.push(item);
    cancel();
    cancel = clock.at(Math.min(clock.now() + GATHER_MS, until), pass);
    // A whole view says all at once.
    if (item.type === 'snapshot') pass();
  };
}

/** What was gathered, with all changes in a row as one; what is older than a whole view is in it. */
function merged(items: readonly WatchFeed[]): WatchFeed[] {
  const from = items.findLastIndex(({ type }) => type === 'snapshot');
  const out: WatchFeed[] = [];
  const events: WatchEvent[] = [];
  let revision: number | undefined;
  for (const item of items.slice(Math.max(0, from))) {
    if (item.type !== 'changes') out.push(item);
    else {
      revision = item.revision;
      events.push(...item.events);
    }
  }
  if (revision === undefined) return out;
  // Only then is the view as fresh as it is said to be.
  const changes: WatchFeed = { type: 'changes', revision, events };
  const [first, ...rest] = out;
  return first?.type === 'snapshot' ? [first, changes, ...rest] : [changes, ...out];
}
