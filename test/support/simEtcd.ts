/** A simulated etcd store on a clock that tests move: keys with revisions, a history, leases that end, transactions. */
import type { Clock } from '../../src/core/index.ts';

export interface SimKey {
  readonly key: string;
  readonly value: string;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly lease: string;
}

export type SimEvent =
  | { readonly type: 'put'; readonly entry: SimKey }
  | { readonly type: 'delete'; readonly key: string; readonly modRevision: number };

type SimCompare =
  | { readonly key: string; readonly is: 'absent' }
  | { readonly key: string; readonly is: 'modRevision'; readonly revision: number }
  | { readonly key: string; readonly is: 'lease'; readonly lease: string };

export type SimWrite =
  | { readonly type: 'put'; readonly key: string; readonly value: string; readonly lease: string }
  | { readonly type: 'delete'; readonly key: string };

export interface SimTransaction {
  readonly compare: readonly SimCompare[];
  readonly writes: readonly SimWrite[];
}

export type SimAnswer =
  | { readonly succeeded: true; readonly revision: number }
  | { readonly succeeded: false; readonly revision: number; readonly current: readonly SimKey[] };

export interface SimSnapshot {
  readonly keys: ReadonlyMap<string, SimKey>;
  readonly ttls: readonly (readonly [id: string, ttl: number])[];
  readonly revision: number;
  readonly history: readonly SimEvent[];
}

export class SimEtcd {
  readonly #clock: Clock;
  #keys = new Map<string, SimKey>();
  readonly #leases = new Map<string, { readonly ttl: number; readonly endsAt: number }>();
  readonly #watchers = new Set<(events: readonly SimEvent[], revision: number) => void>();
  #revision = 1;
  /** Everything that was ever written, in order. */
  history: SimEvent[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get revision(): number {
    return this.#revision;
  }

  list(): SimKey[] {
    return [...this.#keys.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  get(key: string): SimKey | undefined {
    return this.#keys.get(key);
  }

  /** Calls `watcher` with each revision's events; returns what ends that. */
  watch(watcher: (events: readonly SimEvent[], revision: number) => void): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  /** As the session does it: a lease that is there already counts as granted, and is renewed. */
  grant(id: string, ttl: number): number {
    const there = this.#leases.get(id);
    this.#setLease(id, there?.ttl ?? ttl);
    return there?.ttl ?? ttl;
  }

  /** The TTL in seconds, 0 if the lease is gone. */
  keepAlive(id: string): number {
    const lease = this.#leases.get(id);
    if (lease === undefined) return 0;
    this.#setLease(id, lease.ttl);
    return lease.ttl;
  }

  revoke(id: string): void {
    if (!this.#leases.delete(id)) return;
    const keys = this.list().filter((entry) => entry.lease === id);
    if (keys.length > 0) this.#commit(keys.map(({ key }) => ({ type: 'delete', key })));
  }

  /** Throws, as etcd does, for a put on an etcd lease that does not exist. */
  transact({ compare, writes }: SimTransaction): SimAnswer {
    for (const write of writes)
      if (write.type === 'put' && write.lease !== '0' && !this.#leases.has(write.lease))
        throw new Error('requested lease not found');
    if (compare.every((condition) => this.#holds(condition)))
      return { succeeded: true, revision: this.#commit(writes) };
    const current = compare.flatMap(({ key }) => this.#keys.get(key) ?? []);
    return { succeeded: false, revision: this.#revision, current };
  }

  /** The etcd leases that live. */
  get leases(): readonly string[] {
    return [...this.#leases.keys()];
  }

  /** Every lease lives its whole TTL from now on, as under a new leader. */
  extendAll(): void {
    for (const [id, { ttl }] of this.#leases) this.#setLease(id, ttl);
  }

  /** All that is here, for `SimEtcd.restored`; time does not touch it. */
  snapshot(): SimSnapshot {
    return {
      keys: new Map(this.#keys),
      ttls: Array.from(this.#leases, ([id, { ttl }]) => [id, ttl]),
      revision: this.#revision,
      history: [...this.history],
    };
  }

  /** A store from a snapshot: its leases live their whole TTL from now on. */
  static restored(clock: Clock, { keys, ttls, revision, history }: SimSnapshot): SimEtcd {
    const store = new SimEtcd(clock);
    store.#keys = new Map(keys);
    store.#revision = revision;
    store.history = [...history];
    for (const [id, ttl] of ttls) store.#setLease(id, ttl);
    return store;
  }

  #setLease(id: string, ttl: number): void {
    const endsAt = this.#clock.now() + ttl * 1000;
    this.#leases.set(id, { ttl, endsAt });
    this.#clock.at(endsAt, () => {
      if (this.#leases.get(id)?.endsAt === endsAt) this.revoke(id);
    });
  }

  #holds(condition: SimCompare): boolean {
    const entry = this.#keys.get(condition.key);
    if (condition.is === 'absent') return entry === undefined;
    if (condition.is === 'lease') return entry?.lease === condition.lease;
    return entry?.modRevision === condition.revision;
  }

  #commit(writes: readonly SimWrite[]): number {
    this.#revision += 1;
    const modRevision = this.#revision;
    const events = writes.map((write): SimEvent => {
      const before = this.#keys.get(write.key);
      if (write.type === 'delete') {
        this.#keys.delete(write.key);
        return { type: 'delete', key: write.key, modRevision };
      }
      const { key, value, lease } = write;
      const createRevision = before?.createRevision ?? modRevision;
      const entry: SimKey = { key, value, lease, createRevision, modRevision };
      this.#keys.set(key, entry);
      return { type: 'put', entry };
    });
    this.history.push(...events);
    for (const watcher of this.#watchers) watcher(events, modRevision);
    return modRevision;
  }
}
