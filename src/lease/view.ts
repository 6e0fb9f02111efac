/**
 * All lease keys of the cluster as last told: each key parsed once, where it arrives.
 * A snapshot is compared with what is known, so consumers see only what really changed.
 */
import { sameAddress } from '../ip/index.ts';
import { type ReadLease, readLease } from './codec.ts';
import type { KeyEvent, StoredKey } from './keys.ts';
import { printable } from './printable.ts';

/** A key that changed; undefined: it is gone. */
export interface LeaseChange {
  readonly name: string;
  readonly read: ReadLease | undefined;
  /** What was known of it; undefined: nothing. */
  readonly before: ReadLease | undefined;
}

export type LeaseFeed =
  | { readonly type: 'snapshot'; readonly revision: number; readonly entries: readonly StoredKey[] }
  | { readonly type: 'changes'; readonly revision: number; readonly events: readonly KeyEvent[] };

/** By name. Names that no lease can have are shortened and escaped. */
export type Leases = ReadonlyMap<string, ReadLease>;

const NAME_CHARACTERS_MAX = 80;

export class LeaseView {
  readonly #prefix: string;
  #leases = new Map<string, ReadLease>();
  #revision = 0;

  /** `prefix` ends in `/subnets/`. */
  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  get leases(): Leases {
    return this.#leases;
  }

  get revision(): number {
    return this.#revision;
  }

  /** Takes what a watch feeds and returns the keys that differ from before, in order. */
  apply(feed: LeaseFeed): LeaseChange[] {
    this.#revision = feed.revision;
    if (feed.type === 'snapshot') return this.#replace(feed.entries);
    const changed: LeaseChange[] = [];
    for (const event of feed.events) {
      const change = event.type === 'put' ? this.#put(event.entry) : this.#delete(event.key);
      if (change !== undefined) changed.push(change);
    }
    return changed;
  }

  #replace(entries: readonly StoredKey[]): LeaseChange[] {
    const gone = new Map(this.#leases);
    const puts: LeaseChange[] = [];
    for (const entry of entries) {
      gone.delete(this.#name(entry.key));
      const change = this.#put(entry);
      if (change !== undefined) puts.push(change);
    }
    for (const name of gone.keys()) this.#leases.delete(name);
    return [...Array.from(gone, ([name, before]) => ({ name, read: undefined, before })), ...puts];
  }

  #put(entry: StoredKey): LeaseChange | undefined {
    const name = this.#name(entry.key);
    const read = readLease(name, entry);
    const before = this.#leases.get(name);
    // Whole values, not revisions: a restored cluster may give an old revision to a new value.
    if (before !== undefined && sameRead(before, read)) return undefined;
    this.#leases.set(name, read);
    return { name, read, before };
  }

  #delete(key: string): LeaseChange | undefined {
    const name = this.#name(key);
    const before = this.#leases.get(name);
    return this.#leases.delete(name) ? { name, read: undefined, before } : undefined;
  }

  #name(key: string): string {
    const name = key.startsWith(this.#prefix) ? key.slice(this.#prefix.length) : key;
    return name.length > NAME_CHARACTERS_MAX ? printable(name) : name;
  }
}

function sameRead(a: ReadLease, b: ReadLease): boolean {
  if (a.kind === 'malformed')
    return (
      b.kind === 'malformed' &&
      a.reason === b.reason &&
      a.modRevision === b.modRevision &&
      a.etcdLease === b.etcdLease
    );
  if (b.kind === 'malformed') return false;
  const [x, y] = [a.lease, b.lease];
  return (
    x.modRevision === y.modRevision &&
    x.createRevision === y.createRevision &&
    x.etcdLease === y.etcdLease &&
    x.backendType === y.backendType &&
    sameAddress(x.publicIp, y.publicIp) &&
    sameAddress(x.publicIp6, y.publicIp6)
  );
}
