/**
 * Whether two answers of etcd are of one history. Of another one is what names another cluster, or an earlier revision: etcd's
 * only grows. That neither is so proves nothing: a cluster that was wiped or restored has the same id, and soon a higher
 * revision. Then a key tells that was there (`Witness`).
 */
import { isExact } from '../core/index.ts';
import type { KeyValue } from './types.ts';
import type { Header } from './watchTypes.ts';

/** Why what has the header `now` cannot be of the history that had `known`; undefined: it can. */
export function otherHistory(known: Header, now: Header): string | undefined {
  if (isOtherCluster(known.clusterId, now.clusterId)) return 'another etcd cluster answers';
  return now.revision < known.revision ? "etcd's revision went back" : undefined;
}

/** An answer through a grpc-proxy may name none. */
const isOtherCluster = (a: string, b: string): boolean => a !== '0' && b !== '0' && a !== b;

/** Whether both are one put of one key, or both nothing. */
export const isSamePut = (a: KeyValue | undefined, b: KeyValue | undefined): boolean =>
  a?.createRevision === b?.createRevision &&
  a?.modRevision === b?.modRevision &&
  a?.value === b?.value;

/** The key that was put last, of those that can be asked for; undefined: there is none. */
export function newestOf(entries: readonly KeyValue[]): KeyValue | undefined {
  let newest: KeyValue | undefined;
  for (const entry of entries)
    if (entry.modRevision > (newest?.modRevision ?? 0) && isExact(entry.key)) newest = entry;
  return newest;
}
