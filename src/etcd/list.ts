/** All keys under a prefix at one revision of one cluster, in pages. */
import type { IRangeResponse } from 'etcd3';
import type { Session } from './session.ts';
import { EtcdError, type KeyValue } from './types.ts';
import type { Header } from './watchTypes.ts';
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

export function toHeader(header: IRangeResponse['header']): Header {
  return { revision: Number(header.revision), clusterId: header.cluster_id };
}
