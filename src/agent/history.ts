/**
 * Whether a snapshot is of the history that we knew. An etcd that was wiped and set up anew in the same way has the same
 * ids and soon a higher revision; but keys that we know, the config's and our own, are other ones then.
 */
import type { KeyValue, WatchEvent } from '../etcd/index.ts';

export class History {
  /** The create revisions of the keys that bear witness, as last heard; undefined: there was no such key. */
  readonly #created = new Map<string, number | undefined>();
  #revision = 0;

  /** Takes a snapshot. Returns whether it contradicts what was heard before, so that what it lacks proves nothing. */
  snapshot(revision: number, entries: readonly KeyValue[], witnesses: readonly string[]): boolean {
    let strange = revision < this.#revision;
    this.#revision = revision;
    for (const key of witnesses) {
      const created = entries.find((entry) => entry.key === key)?.createRevision;
      if (this.#created.has(key) && this.#created.get(key) !== created) strange = true;
      this.#created.set(key, created);
    }
    return strange;
  }

  changes(revision: number, events: readonly WatchEvent[], witnesses: readonly string[]): void {
    this.#revision = revision;
    for (const event of events) {
      const { key } = event.type === 'put' ? event.entry : event;
      if (witnesses.includes(key))
        this.#created.set(key, event.type === 'put' ? event.entry.createRevision : undefined);
    }
  }
}
