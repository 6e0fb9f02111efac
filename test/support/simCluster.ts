/** One simulated etcd as a cluster that sessions talk to: it can be wiped, compacted, and changed by an operator. */
import type { Clock } from '../../src/core/index.ts';
import { SimEtcd, type SimEvent, type SimKey, type SimWrite } from './simEtcd.ts';

/** Hears what a write did; nothing where the store is another one, compacted or restarted. */
type Changed = (events: readonly SimEvent[]) => void;

export class SimCluster {
  readonly #clock: Clock;
  readonly #changed = new Set<Changed>();
  #store: SimEtcd;
  #id = 1;
  #term = 1;
  #compacted = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#store = this.#heard(new SimEtcd(clock));
  }

  get store(): SimEtcd {
    return this.#store;
  }

  /** What every answer names; a wiped cluster is another one. */
  get id(): string {
    return String(this.#id);
  }

  /** Watch streams end with the term in which they were opened. */
  get term(): number {
    return this.#term;
  }

  /** Events up to this revision are forgotten. */
  get compacted(): number {
    return this.#compacted;
  }

  /** Calls `changed` after whatever happens to the cluster; returns what ends that. */
  follow(changed: Changed): () => void {
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

  /** How many keys there were under `prefix` at a revision. */
  countAt(prefix: string, revision: number): number {
    const keys = new Set<string>();
    for (const event of this.since(0, prefix)) {
      const { key, modRevision } = event.type === 'put' ? event.entry : event;
      if (modRevision > revision) break;
      if (event.type === 'put') keys.add(key);
      else keys.delete(key);
    }
    return keys.size;
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

  /** The data is lost: an empty store begins anew, as another cluster; with the same URLs and token it has the same id. */
  wipe(id: 'new-id' | 'same-id' = 'new-id'): void {
    this.#replace(new SimEtcd(this.#clock), 0, id);
  }

  /** Every member starts again: streams end, and leases begin their TTL anew. */
  restart(): void {
    this.#store.extendAll();
    this.#term += 1;
    this.#tell();
  }

  /** A snapshot; what is returned restores it, as often as it is called. */
  backup(): (id?: 'new-id' | 'same-id') => void {
    const saved = this.#store.snapshot();
    const compacted = this.#compacted;
    return (id = 'new-id') => this.#replace(SimEtcd.restored(this.#clock, saved), compacted, id);
  }

  #replace(store: SimEtcd, compacted: number, id: 'new-id' | 'same-id'): void {
    if (id === 'new-id') this.#id += 1;
    this.#term += 1;
    this.#compacted = compacted;
    this.#store = this.#heard(store);
    this.#tell();
  }

  #write(write: SimWrite): void {
    this.#store.transact({ compare: [], writes: [write] });
  }

  #heard(store: SimEtcd): SimEtcd {
    // One that was replaced goes on for itself, unheard: its leases still end.
    store.watch((events) => {
      if (this.#store === store) this.#tell(events);
    });
    return store;
  }

  #tell(events: readonly SimEvent[] = []): void {
    for (const changed of [...this.#changed]) changed(events);
  }
}
