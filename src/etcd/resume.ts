/**
 * Whether a saved view, overlaid with what has changed since, is what etcd holds now. It is, if the history is the same
 * and the number of keys is: each key there now is either unchanged, and so in the view, or among the changed ones, so
 * that a key too many is the only error left, and the count shows it.
 */
import type { KeyValue, SavedView } from './types.ts';
import type { Since } from './watchTypes.ts';

/** The keys that etcd holds at the revision of `since`, or undefined where that is not proven. */
export function provenView(saved: SavedView, since: Since): readonly KeyValue[] | undefined {
  const { header, changed, count } = since;
  const { clusterId } = header;
  if (clusterId !== '0' && saved.clusterId !== '0' && clusterId !== saved.clusterId)
    return undefined;
  if (header.revision < saved.revision || since.more) return undefined;
  const keys = new Map(saved.entries.map((entry) => [entry.key, entry]));
  const now = new Map(since.witnesses.map((entry) => [entry.key, entry]));
  for (const key of saved.witnesses)
    if (!isOneHistory(keys.get(key), now.get(key), saved.revision)) return undefined;
  for (const entry of changed) keys.set(entry.key, entry);
  return keys.size === count ? [...keys.values()] : undefined;
}

/**
 * The cluster's id is no proof: an etcd that was wiped and set up anew has the same one, and soon a higher revision. But
 * a key that is older than the view must still be the same one there.
 */
function isOneHistory(
  before: KeyValue | undefined,
  now: KeyValue | undefined,
  revision: number,
): boolean {
  if (now === undefined) return before === undefined;
  if (before === undefined) return now.createRevision > revision;
  if (now.createRevision !== before.createRevision) return false;
  if (now.modRevision > revision) return true;
  return (
    now.modRevision === before.modRevision &&
    now.value === before.value &&
    now.lease === before.lease
  );
}
