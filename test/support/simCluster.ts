/** One simulated etcd as a cluster that sessions talk to: it can be wiped, compacted, and changed by an operator. */
import type { Clock } from '../../src/core/index.ts';
import { SimEtcd, type SimEvent, type SimKey, type SimWrite } from './simEtcd.ts';

export class SimCluster {
  readonly #clock: Clock;
  readonly #changed = new Set<() => void>();
  #store: SimEtcd;
  #id = 1;
  #compacted = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#store = this.#open();
  }

  get store(): SimEtcd {
    return this.#store;
  }

  /** What every answer names; a wiped cluster is another one. */
  get id(): string {
    return String(this.#id);
  }

  /** Events up to this revision are forgotten. */
  get compacted(): number {
    return this.#compacted;
  }

  /** Calls `changed` after each write, wipe and compaction; returns what ends that. */
  follow(changed: () => void): () => void {
    this.#changed.add(changed);
    return () => this.#changed.delete(changed);
  }

  under(prefix: string): SimKey[] {
    return this.#store.list().filter(({ key }) => key.startsWith(prefix));
  }

  /** The events from revision `from` on of keys under `prefix`. */
  since(from: number, prefix: string): SimEvent[] {
    return this.#store.history.filter((event) => {
      const { key, modRevision } = event.type === 'put' ? event.entry : event;
      return modRevision >= from && key.startsWith(prefix);
    });
  }

  /** As `etcdctl put` and `etcdctl del` do. */
  put(key: string, value: string, lease = '0'): void {
    this.#write({ type: 'put', key, value, lease });
  }

  delete(key: string): void {
    if (this.#store.get(key) !== undefined) this.#write({ type: 'delete', key });
  }

  /** Forgets the history up to now. */
  compact(): void {
    this.#compacted = this.#store.revision;
    this.#tell();
  }

  /** The data is lost: an empty store begins anew, as another cluster. */
  wipe(): void {
    this.#id += 1;
    this.#compacted = 0;
    this.#store = this.#open();
    this.#tell();
  }

  #write(write: SimWrite): void {
    this.#store.transact({ compare: [], writes: [write] });
  }

  #open(): SimEtcd {
    const store = new SimEtcd(this.#clock);
    store.watch(() => this.#tell());
    return store;
  }

  #tell(): void {
    for (const changed of [...this.#changed]) changed();
  }
}
