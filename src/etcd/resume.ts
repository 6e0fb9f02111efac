/**
 * Whether a saved view, overlaid with what has changed since, is what etcd holds now. It is, if the history is the same
 * and the number of keys is: each key there now is either unchanged, and so in the view, or among the changed ones, so
 * that a key too many is the only error left, and the count shows it. Keys that are no UTF-8 cannot be counted by their texts.
 */
import { isExact } from '../core/index.ts';
import { newestOf, otherHistory } from './oneHistory.ts';
import type { KeyValue, SavedView } from './types.ts';
import type { Since, Witness } from './watchTypes.ts';

export type Proof =
  /** The keys that etcd holds at the revision of the read. */
  | { readonly kind: 'whole'; readonly entries: readonly KeyValue[] }
  /** Keys have gone, or too many have come: only a list can tell. */
  | { readonly kind: 'unknown' }
  /** Etcd's history is not that of the view, so what it lacks was never deleted. */
  | { readonly kind: 'foreign'; readonly reason: string };

/** What etcd must still know if its history is that of the view: the key that another history is least likely to have just so. */
export function witnessOf({ entries, revision, clusterId }: SavedView): Witness | undefined {
  const newest = newestOf(entries);
  const count = entries.length;
  return newest && { key: newest.key, entry: newest, revision, clusterId, count };
}

export function proofOf(saved: SavedView, since: Since): Proof {
  const { header, changed, count } = since;
  const other = otherHistory(saved, header);
  if (other !== undefined) return { kind: 'foreign', reason: other };
  const keys = new Map(saved.entries.map((entry) => [entry.key, entry]));
  const now = new Map(since.witnesses.map((entry) => [entry.key, entry]));
  let gone = false;
  for (const key of saved.witnesses) {
    const [before, after] = [keys.get(key), now.get(key)];
    if (after !== undefined && contradicts(before, after, saved.revision))
      return { kind: 'foreign', reason: `key ${key} is another one in etcd than before` };
    gone ||= before !== undefined && before.createRevision !== after?.createRevision;
  }
  for (const entry of changed) keys.set(entry.key, entry);
  const entries = [...keys.values()];
  const isCounted = entries.length === count && entries.every(({ key }) => isExact(key));
  return gone || since.more || !isCounted ? { kind: 'unknown' } : { kind: 'whole', entries };
}

/**
 * The cluster's id is no proof: an etcd that was wiped and set up anew has the same one, and soon a higher revision. But
 * what is no younger than the view must be in it, just so.
 */
function contradicts(before: KeyValue | undefined, now: KeyValue, revision: number): boolean {
  if (now.createRevision > revision) return false;
  if (before?.createRevision !== now.createRevision) return true;
  if (now.modRevision > revision) return false;
  return (
    now.modRevision !== before.modRevision ||
    now.value !== before.value ||
    now.lease !== before.lease
  );
}
