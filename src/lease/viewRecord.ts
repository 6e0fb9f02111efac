/**
 * The keys of the cluster as they were last told, raw, for the disk. Bounded: what no honest writer writes is left out,
 * and then the record is no longer whole, so that nothing may be concluded from its number of keys.
 */
import { isExact } from '../core/index.ts';
import type { KeyEvent, StoredKey } from './keys.ts';

export type RecordFeed =
  | {
      readonly type: 'snapshot';
      readonly revision: number;
      readonly clusterId: string;
      readonly entries: readonly StoredKey[];
    }
  | { readonly type: 'changes'; readonly revision: number; readonly events: readonly KeyEvent[] };

/** Characters: a lease's value has about a hundred, a config a few hundred more. */
export interface RecordLimits {
  readonly key: number;
  readonly value: number;
  readonly all: number;
}

const LIMITS: RecordLimits = { key: 256, value: 4_096, all: 1 << 24 };

export class ViewRecord {
  readonly #limits: RecordLimits;
  readonly #entries = new Map<string, StoredKey>();
  #characters = 0;
  #revision = 0;
  #clusterId = '0';
  #whole = false;
  #newest: string | undefined;

  constructor(limits = LIMITS) {
    this.#limits = limits;
  }

  /** By key. */
  get entries(): ReadonlyMap<string, StoredKey> {
    return this.#entries;
  }

  get revision(): number {
    return this.#revision;
  }

  get clusterId(): string {
    return this.#clusterId;
  }

  /** Whether `entries` are all keys that there are, and as they are. */
  get whole(): boolean {
    return this.#whole;
  }

  /** The key that was put last. */
  get newest(): string | undefined {
    return this.#newest;
  }

  take(feed: RecordFeed): void {
    this.#revision = feed.revision;
    if (feed.type === 'snapshot') {
      this.#clusterId = feed.clusterId;
      this.#entries.clear();
      this.#characters = 0;
      this.#whole = true;
      this.#newest = undefined;
      for (const entry of feed.entries) this.#put(entry);
    } else {
      for (const event of feed.events)
        if (event.type === 'put') this.#put(event.entry);
        else this.#delete(event.key);
    }
  }

  #put(entry: StoredKey): void {
    const { key, value, modRevision } = entry;
    // Two of them may have one text: they can neither be named nor counted.
    if (!isExact(key)) {
      this.#whole = false;
      return;
    }
    this.#delete(key);
    const { key: keyMax, value: valueMax, all } = this.#limits;
    const size = key.length + value.length;
    if (key.length > keyMax || value.length > valueMax || this.#characters + size > all) {
      this.#whole = false;
      return;
    }
    this.#characters += size;
    this.#entries.set(key, entry);
    const newest = this.#newest === undefined ? undefined : this.#entries.get(this.#newest);
    if (newest === undefined || modRevision >= newest.modRevision) this.#newest = key;
  }

  #delete(key: string): void {
    const before = this.#entries.get(key);
    if (before === undefined) return;
    this.#characters -= key.length + before.value.length;
    this.#entries.delete(key);
  }
}
