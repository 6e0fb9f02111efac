/**
 * What a watch has fed: up to which revision, of which history. A cluster that was restored from a backup has the same id
 * and soon a higher revision; but at the revision of the change that we saw last, something else happened there.
 */
import { isExact } from '../core/index.ts';
import { newestOf, otherHistory } from './oneHistory.ts';
import type { KeyValue, WatchEvent, WatchFeed } from './types.ts';
import { growthOf, lastRevision } from './watchState.ts';
import type { Header, Witness } from './watchTypes.ts';

const STANDING_MAX = 8;

export class Fed {
  /** Everything up to there has been fed; before the first snapshot, what was saved up to there. */
  #header: Header = { revision: 0, clusterId: '0' };
  #begun = false;
  /** The key that was changed last, of those that can be asked for: one that is no UTF-8 would never be found again. */
  #touched: Pick<Witness, 'key' | 'entry'> | undefined;
  /** Some keys that stand, the one put last the last. */
  readonly #standing = new Map<string, KeyValue>();
  /** Why the next snapshot is of another history. */
  #otherHistory: string | undefined;
  #keys = 0;

  /** undefined: nothing has been fed. */
  get revision(): number | undefined {
    return this.#begun ? this.#header.revision : undefined;
  }

  /** How many keys there are. */
  get keys(): number {
    return this.#keys;
  }

  /** What etcd must still know if its history is ours; undefined: nothing is left that could tell. */
  get witness(): Witness | undefined {
    const touched = this.#touched;
    if (touched === undefined) return undefined;
    const witness = { ...touched, ...this.#header, count: this.#keys };
    if (touched.entry !== undefined) return witness;
    // That a key is absent proves a restored etcd wrong, but not one that was wiped.
    const standing = [...this.#standing.values()].at(-1);
    return standing && { ...witness, standing };
  }

  /** What was saved is to be of the history that is fed. */
  recall({ revision, clusterId }: Header): void {
    this.#header = { revision, clusterId };
  }

  /** From now on what was fed is of another history than what etcd holds. */
  disown(reason: string): void {
    this.#otherHistory ??= reason;
  }

  /** Takes a whole view; gives what to feed. It may come of another history than anything before it. */
  snapshot({ revision, clusterId }: Header, entries: readonly KeyValue[]): WatchFeed {
    const header = { revision, clusterId };
    const otherHistory = this.#otherHistory ?? this.doubt(header);
    this.#otherHistory = undefined;
    this.#header = header;
    this.#begun = true;
    this.#keys = entries.length;
    const newest = newestOf(entries);
    this.#standing.clear();
    for (const entry of entries.slice(0, STANDING_MAX)) this.#stands(entry);
    if (newest !== undefined) this.#stands(newest);
    this.#touched = newest && { key: newest.key, entry: newest };
    const item = { type: 'snapshot', ...header, entries } as const;
    return otherHistory === undefined ? item : { ...item, otherHistory };
  }

  /** Takes what came next; gives what to feed, or undefined if it does not follow. */
  changes(events: readonly WatchEvent[]): WatchFeed | undefined {
    const revision = lastRevision(events, this.#header.revision);
    if (revision === undefined || events.length === 0) return undefined;
    for (const event of events) {
      const [key, entry] =
        event.type === 'put' ? [event.entry.key, event.entry] : [event.key, undefined];
      if (isExact(key)) this.#touched = { key, entry };
      if (entry === undefined) this.#standing.delete(key);
      else this.#stands(entry);
    }
    this.#header = { ...this.#header, revision };
    this.#keys = Math.max(0, this.#keys + growthOf(events));
    return { type: 'changes', revision, events };
  }

  #stands(entry: KeyValue): void {
    if (!isExact(entry.key)) return;
    this.#standing.delete(entry.key);
    this.#standing.set(entry.key, entry);
    const [first] = this.#standing.keys();
    if (first !== undefined && this.#standing.size > STANDING_MAX) this.#standing.delete(first);
  }

  /** Why an answer with this header cannot come from the history that was fed. */
  doubt(header: Header): string | undefined {
    return otherHistory(this.#header, header);
  }
}
