/** A consumer of a watch: keeps what it was fed and refuses what breaks the promise of the feed. */
import type { WatchFeed } from '../../src/etcd/index.ts';

export class Mirror {
  readonly #entries = new Map<string, { readonly value: string; readonly modRevision: number }>();
  #revision = -1;
  snapshots = 0;
  /** Of every event, in the order of arrival. */
  readonly eventRevisions: number[] = [];
  /** Every freshness, in order. */
  readonly said: string[] = [];

  /** @throws Error if a change comes before a snapshot, or twice, or out of order. */
  take(item: WatchFeed): void {
    if (item.type === 'freshness') {
      if (this.state === item.state) throw new Error(`${item.state} was said twice`);
      this.said.push(item.state);
      return;
    }
    if (item.type === 'snapshot') {
      this.snapshots += 1;
      this.#entries.clear();
      for (const { key, value, modRevision } of item.entries) {
        this.#entries.set(key, { value, modRevision });
      }
    } else {
      this.#change(item);
    }
    this.#revision = item.revision;
  }

  #change(item: Extract<WatchFeed, { type: 'changes' }>): void {
    if (this.snapshots === 0) throw new Error('a change before a snapshot');
    for (const event of item.events) {
      const at = event.type === 'put' ? event.entry.modRevision : event.modRevision;
      if (at <= this.#revision || at > item.revision) throw new Error(`event ${at} out of place`);
      this.eventRevisions.push(at);
      if (event.type === 'delete') this.#entries.delete(event.key);
      else this.#entries.set(event.entry.key, { value: event.entry.value, modRevision: at });
    }
  }

  get state(): string | undefined {
    return this.said.at(-1);
  }

  get revision(): number {
    return this.#revision;
  }

  has(key: string): boolean {
    return this.#entries.has(key);
  }

  /** `key=value@modRevision`, sorted. */
  get lines(): readonly string[] {
    return [...this.#entries]
      .map(([key, { value, modRevision }]) => `${key}=${value}@${modRevision}`)
      .sort();
  }

  same(wanted: readonly string[]): boolean {
    return this.lines.join('\n') === [...wanted].sort().join('\n');
  }
}
