/** What the etcd room gives to the others: key-values, transactions, leases, a fed watch. Knows no networks. */

/** One key as a range or a watch shows it. Revisions are exact up to 2^53. */
export interface KeyValue {
  readonly key: string;
  /** UTF-8; bytes that are none are replaced, which no valid value survives. */
  readonly value: string;
  readonly createRevision: number;
  readonly modRevision: number;
  /** The etcd lease the key hangs on, decimal; '0' for none. */
  readonly lease: string;
}

/** A condition on a key in a transaction. `absent`: version == 0. */
export type Compare =
  | { readonly key: string; readonly is: 'absent' }
  | { readonly key: string; readonly is: 'modRevision'; readonly revision: number }
  | { readonly key: string; readonly is: 'lease'; readonly lease: string };

export type Write =
  | { readonly type: 'put'; readonly key: string; readonly value: string; readonly lease: string }
  | { readonly type: 'delete'; readonly key: string };

/** If every compare holds the writes are done, else nothing is; `current` then holds each compared key that exists. */
export interface Transaction {
  readonly compare: readonly Compare[];
  readonly writes: readonly Write[];
}

export type TransactionResult =
  | { readonly succeeded: true; readonly revision: number }
  | { readonly succeeded: false; readonly revision: number; readonly current: readonly KeyValue[] };

export type WatchEvent =
  | { readonly type: 'put'; readonly entry: KeyValue }
  | { readonly type: 'delete'; readonly key: string; readonly modRevision: number };

/** What a watch feeds: whole snapshots, then exactly the changes after them. */
export type WatchFeed =
  | {
      readonly type: 'snapshot';
      readonly revision: number;
      /** Decimal; '0' where the answer named none (grpc-proxy). */
      readonly clusterId: string;
      readonly entries: readonly KeyValue[];
      /** Why it is of another history than what was fed or saved before, so that what it lacks was perhaps never deleted. */
      readonly otherHistory?: string;
    }
  | { readonly type: 'changes'; readonly revision: number; readonly events: readonly WatchEvent[] }
  | { readonly type: 'freshness'; readonly state: 'live' | 'stale'; readonly reason: string };

/** A complete view of a prefix as it once was, from which a watch may go on if etcd proves that it is of the same history. */
export interface SavedView {
  readonly clusterId: string;
  /** Of the last snapshot or event. */
  readonly revision: number;
  /** Every key under the prefix. */
  readonly entries: readonly KeyValue[];
  /** Keys whose revisions tell this history from another one, whether or not they were there. */
  readonly witnesses: readonly string[];
}

/** Why a call failed, told apart because the cure differs. */
export type EtcdErrorKind =
  | 'refused' // nobody listens there
  | 'unreachable' // no answer, name not found, connection cut
  | 'tls' // certificate, name or client certificate
  | 'authentication' // user or password
  | 'permission' // user may not do this
  | 'no-leader' // member without quorum
  | 'timeout'
  | 'no-space' // the alarm NOSPACE: it takes no writes but deletes
  | 'compacted'
  | 'other';

/** A failed call to etcd as one sentence without secrets. */
export class EtcdError extends Error {
  override readonly name = 'EtcdError';
  readonly kind: EtcdErrorKind;
  constructor(kind: EtcdErrorKind, sentence: string, options?: ErrorOptions) {
    super(sentence, options);
    this.kind = kind;
  }
}

/**
 * One session with the cluster: one endpoint at a time, moved away from on failure. Every call rejects with EtcdError
 * after at most a few seconds; a write whose call rejected may have been done all the same: read back before anything else.
 */
export interface Etcd {
  /** All keys under `prefix` at one revision, paged. */
  list(
    prefix: string,
  ): Promise<{ readonly revision: number; readonly entries: readonly KeyValue[] }>;
  get(key: string): Promise<KeyValue | undefined>;
  transact(transaction: Transaction): Promise<TransactionResult>;
  /** Creates an etcd lease under the given id (decimal, 1 to 2^63-1); an existing lease of this id counts as granted, and is renewed. Returns the TTL in seconds. */
  grant(id: string, ttlSeconds: number): Promise<number>;
  /** Renews once, without a write; returns the TTL left in seconds, 0 if the lease is gone. */
  keepAlive(id: string): Promise<number>;
  /** Ends the lease and deletes its keys. A lease that is gone already counts as revoked. */
  revoke(id: string): Promise<void>;
  /**
   * Feeds all keys under `prefix` until `signal` aborts. Survives everything; never feeds a change twice or skips one
   * without a snapshot in between. From a `saved` view it goes on with a read of what changed since, where that proves
   * the whole; the first item is a snapshot all the same.
   */
  watch(
    prefix: string,
    feed: (item: WatchFeed) => void,
    signal: AbortSignal,
    saved?: SavedView,
  ): void;
  /** Which endpoint is in use, and what is wrong if something is: for status and logs. */
  status(): { readonly endpoint: string; readonly trouble: string | undefined };
  close(): Promise<void>;
}
