/** All keys under a prefix at one revision of one cluster, in pages; or what has changed of them since a revision. */
import type { IRangeRequest, IRangeResponse, IRequestOp } from 'etcd3';
import type { Session } from './session.ts';
import { EtcdError, type KeyValue } from './types.ts';
import type { Header, Since } from './watchTypes.ts';
import { prefixRange, toKeyValue } from './wire.ts';

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
  let key = range.key;
  for (;;) {
    const revision = header === undefined ? '0' : String(header.revision);
    const page = await session.idempotent((endpoint) =>
      endpoint.kv.range({ key, range_end: range.range_end, limit: PAGE_KEYS, revision }),
    );
    header ??= toHeader(page.header);
    // Pages may come from different endpoints; two clusters must not be mixed into one view.
    if (page.header.cluster_id !== header.clusterId) {
      throw new EtcdError(
        'other',
        'two endpoints of etcd answer for different clusters: check the list of endpoints',
      );
    }
    for (const kv of page.kvs) entries.push(toKeyValue(kv));
    const last = page.kvs.at(-1);
    if (!page.more || last === undefined) return { header, entries };
    key = Buffer.concat([last.key, Buffer.from([0])]);
  }
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
  const changes = { ...prefixRange(prefix), min_mod_revision: String(from), limit: PAGE_KEYS };
  const ranges: IRangeRequest[] = [
    changes,
    ...witnesses.map((key): IRangeRequest => ({ key: Buffer.from(key) })),
  ];
  const success = ranges.map((request_range): IRequestOp => ({ request_range }));
  const { header, responses } = await session.idempotent((endpoint) =>
    endpoint.kv.txn({ compare: [], success, failure: [] }),
  );
  const [all, ...found] = responses.map(({ response_range }) => response_range);
  if (all === undefined) throw new EtcdError('other', 'etcd left a read without an answer');
  return {
    header: toHeader(header),
    changed: all.kvs.map(toKeyValue),
    more: all.more,
    count: Number(all.count),
    witnesses: found.flatMap(({ kvs }) => kvs.map(toKeyValue)),
  };
}

export function toHeader(header: IRangeResponse['header']): Header {
  return { revision: Number(header.revision), clusterId: header.cluster_id };
}
