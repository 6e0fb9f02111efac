/**
 * The keys of the cluster as they were last told, raw, for the disk. Bounded: what no honest writer writes is left out,
 * and while it is there the record is not whole, so that nothing may be concluded from its number of keys. The config is
 * never left out: it bears witness of etcd's history.
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

/** Characters of the names of what is left out. */
const OMITTED_MAX = 1 << 16;

const LIMITS: RecordLimits = { key: 256, value: 4_096, all: 1 << 24 };

export class ViewRecord {
  readonly #configKey: string;
  readonly #limits: RecordLimits;
  readonly #entries = new Map<string, StoredKey>();
  #characters = 0;
  /** The keys that were left out and are there. */
  readonly #omitted = new Set<string>();
  #omittedCharacters = 0;
  #revision = 0;
  #clusterId = '0';
  /** Keys may be there that are neither recorded nor named as omitted. */
  #blind = true;
  #newest: string | undefined;

  constructor(configKey: string, limits = LIMITS) {
    this.#configKey = configKey;
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
    return !this.#blind && this.#omitted.size === 0;
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
      this.#omitted.clear();
      this.#omittedCharacters = 0;
      this.#blind = false;
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
    this.#delete(key);
    const size = key.length + value.length;
    if (!this.#hasRoom(key, value, size)) {
      this.#omit(key);
      return;
    }
    this.#characters += size;
    this.#entries.set(key, entry);
    const newest = this.#newest === undefined ? undefined : this.#entries.get(this.#newest);
    if (newest === undefined || modRevision >= newest.modRevision) this.#newest = key;
  }

  #hasRoom(key: string, value: string, size: number): boolean {
    if (key === this.#configKey) return true;
    const { key: keyMax, value: valueMax, all } = this.#limits;
    const isOdd = key.length > keyMax || value.length > valueMax || !isExact(key);
    return !isOdd && this.#characters + size <= all;
  }

  #omit(key: string): void {
    const named = this.#omittedCharacters + key.length;
    // Two keys that are no UTF-8 may have one text: that one of them goes says nothing of the other.
    if (named > OMITTED_MAX || !isExact(key)) this.#blind = true;
    else {
      this.#omitted.add(key);
      this.#omittedCharacters = named;
    }
  }

  #delete(key: string): void {
    if (this.#omitted.delete(key)) this.#omittedCharacters -= key.length;
    const before = this.#entries.get(key);
    if (before === undefined) return;
    this.#characters -= key.length + before.value.length;
    this.#entries.delete(key);
  }
}
