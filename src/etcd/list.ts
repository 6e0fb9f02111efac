/** All keys under a prefix at one revision of one cluster, in pages; or what has changed of them since a revision. */
import { RANGE, TXN } from './messages.ts';
import { isSamePut, otherHistory } from './oneHistory.ts';
import type { Session } from './session.ts';
import { EtcdError, type KeyValue } from './types.ts';
import type { Header, Since, Witness } from './watchTypes.ts';
import { prefixRange } from './wire.ts';

/** Keys a page: a page of leases is then about 2 MB. */
const PAGE_KEYS = 10_000;

export interface Listed {
  readonly header: Header;
  readonly entries: readonly KeyValue[];
}

export async function listPrefix(session: Session, prefix: string): Promise<Listed> {
  const range = prefixRange(prefix);
  const entries: KeyValue[] = [];
  let header: Header | undefined;
  let key: Uint8Array = range.key;
  for (;;) {
    const at = header === undefined ? {} : { revision: header.revision };
    const page = await session.idempotent((endpoint) =>
      endpoint.call(RANGE, { ...range, key, limit: PAGE_KEYS, ...at }),
    );
    header ??= page.header;
    // Pages may come from different endpoints; two clusters must not be mixed into one view.
    if (page.header.clusterId !== header.clusterId) {
      throw new EtcdError(
        'other',
        'two endpoints of etcd answer for different clusters: check the list of endpoints',
      );
    }
    for (const entry of page.entries) entries.push(entry);
    if (page.nextKey === undefined) return { header, entries };
    key = page.nextKey;
  }
}

/** Whether etcd has this history; undefined: it has forgotten it. A revision that it has not come to is of another one. */
export async function isOneHistory(
  session: Session,
  prefix: string,
  witness: Witness,
): Promise<boolean | undefined> {
  const { key, entry, revision, clusterId, standing, count } = witness;
  if (standing !== undefined) {
    const beside = { key: standing.key, entry: standing, revision, clusterId };
    const stood = await isOneHistory(session, prefix, beside);
    if (stood !== true) return stood;
  }
  try {
    const { header, entries } = await session.idempotent((endpoint) =>
      endpoint.call(RANGE, { key: Buffer.from(key), revision }),
    );
    if (otherHistory(witness, header) !== undefined || !isSamePut(entries[0], entry)) return false;
    return count === undefined || count === (await countAt(session, prefix, revision));
  } catch (error) {
    if (error instanceof EtcdError && error.kind === 'compacted') return undefined;
    if (error instanceof EtcdError && /future revision/.test(error.message)) return false;
    throw error;
  }
}

/** How many keys there were at a revision. */
async function countAt(session: Session, prefix: string, revision: number): Promise<number> {
  const range = { ...prefixRange(prefix), revision, keysOnly: true, limit: 1 };
  const { count } = await session.idempotent((endpoint) => endpoint.call(RANGE, range));
  return count;
}

/**
 * What has changed under a prefix from revision `from` on, and the witnesses: one transaction, so that all of it is of one
 * revision. etcd counts every key of the range, whatever it was asked to leave out.
 */
export async function readSince(
  session: Session,
  prefix: string,
  from: number,
  witnesses: readonly string[],
): Promise<Since> {
  const changes = { ...prefixRange(prefix), minModRevision: from, limit: PAGE_KEYS };
  const reads = [changes, ...witnesses.map((key) => ({ key: Buffer.from(key) }))];
  const success = reads.map((range) => ({ type: 'range', range }) as const);
  const { header, ranges } = await session.idempotent((endpoint) =>
    endpoint.call(TXN, { compare: [], success, failure: [] }),
  );
  const [all, ...found] = ranges;
  if (all === undefined) throw new EtcdError('other', 'etcd left a read without an answer');
  return {
    header,
    changed: all.entries,
    more: all.more,
    count: all.count,
    witnesses: found.flatMap(({ entries }) => entries),
  };
}
