/** The lease room's words for etcd: keys as read, transactions as asked for. Structurally those of the etcd room. */

export interface StoredKey {
  readonly key: string;
  readonly value: string;
  readonly createRevision: number;
  readonly modRevision: number;
  /** Decimal id of the etcd lease the key hangs on; '0' for none. */
  readonly lease: string;
}

export type KeyCompare =
  | { readonly key: string; readonly is: 'absent' }
  | { readonly key: string; readonly is: 'modRevision'; readonly revision: number };

export interface KeyPut {
  readonly type: 'put';
  readonly key: string;
  readonly value: string;
  readonly lease: string;
}

interface KeyDelete {
  readonly type: 'delete';
  readonly key: string;
}

export interface KeyTransaction {
  readonly compare: readonly KeyCompare[];
  readonly writes: readonly [KeyPut, ...KeyDelete[]];
}

export type KeyAnswer =
  | { readonly succeeded: true; readonly revision: number }
  | {
      readonly succeeded: false;
      readonly revision: number;
      /** The compared keys that exist, as they are. */
      readonly current: readonly StoredKey[];
    };

export type KeyEvent =
  | { readonly type: 'put'; readonly entry: StoredKey }
  | { readonly type: 'delete'; readonly key: string; readonly modRevision: number };
