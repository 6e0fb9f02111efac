/**
 * Whether a snapshot is of the history that we knew. An etcd that was wiped and set up anew in the same way has the same
 * ids and soon a higher revision; but keys that we know, the config's and our own, are other ones then. That such a key
 * is gone or younger than all we heard may have its own reason (deleted by hand, run out): then the other keys tell.
 */
import { isExact } from '../core/index.ts';
import type { KeyValue, WatchEvent, WatchFeed } from '../etcd/index.ts';
import { isMassLoss } from '../route/index.ts';

export class History {
  /** The create revisions of the keys that bear witness, as last heard; undefined: there was no such key. */
  readonly #created = new Map<string, number | undefined>();
  /** Every key that was last heard of as there, with its create revision. */
  #known = new Map<string, number>();
  #revision = 0;

  /** Takes a snapshot. Returns whether it contradicts what was heard before, so that what it lacks proves nothing. */
  snapshot(revision: number, entries: readonly KeyValue[], witnesses: readonly string[]): boolean {
    let strange = revision < this.#revision;
    let gone = false;
    let younger = false;
    let stands = false;
    for (const key of witnesses) {
      const created = entries.find((entry) => entry.key === key)?.createRevision;
      if (this.#created.has(key) && this.#created.get(key) !== created) {
        if (created === undefined) gone = true;
        else if (created > this.#revision) younger = true;
        else strange = true;
      } else if (created !== undefined && created <= this.#revision) stands = true;
      this.#created.set(key, created);
    }
    if (gone || younger) strange ||= this.#isContradictedBy(entries);
    // A key made anew is no proof where no other stands: after a wipe they all are.
    if (gone || (younger && !stands)) strange ||= !this.#isMostly(entries);
    this.#revision = revision;
    this.#known = new Map(entries.map(({ key, createRevision }) => [key, createRevision]));
    return strange;
  }

  /**
   * Takes changes. Returns whether they take most keys away at once, though some may be back by their end: hosts that were
   * cut off for longer than their leases live return one by one, and those that are still to come are not gone.
   */
  changes(revision: number, events: readonly WatchEvent[], witnesses: readonly string[]): boolean {
    const gone = new Set<string>();
    const others = this.#known.size - witnesses.filter((key) => this.#known.has(key)).length;
    this.#revision = revision;
    for (const event of events) {
      const { key } = event.type === 'put' ? event.entry : event;
      if (event.type === 'put') this.#known.set(key, event.entry.createRevision);
      else if (this.#known.delete(key) && !witnesses.includes(key)) gone.add(key);
      if (witnesses.includes(key))
        this.#created.set(key, event.type === 'put' ? event.entry.createRevision : undefined);
    }
    return isMassLoss(gone.size, others);
  }

  /** Whether by this word, not yet taken, a key that was there has ended, though it may have been put anew since. */
  ends(key: string, item: Exclude<WatchFeed, { type: 'freshness' }>): boolean {
    const created = this.#known.get(key);
    if (created === undefined) return false;
    if (item.type === 'changes')
      return item.events.some((event) => event.type === 'delete' && event.key === key);
    return item.entries.find((entry) => entry.key === key)?.createRevision !== created;
  }

  /** A key is there that is as old as what we heard, and of which we did not hear. Two that are no UTF-8 may have one text. */
  #isContradictedBy(entries: readonly KeyValue[]): boolean {
    return entries.some(
      ({ key, createRevision }) =>
        createRevision <= this.#revision && this.#known.get(key) !== createRevision && isExact(key),
    );
  }

  /** Most keys that we knew are still there. */
  #isMostly(entries: readonly KeyValue[]): boolean {
    const same = entries.filter((entry) => this.#known.get(entry.key) === entry.createRevision);
    return same.length * 2 > this.#known.size;
  }
}
