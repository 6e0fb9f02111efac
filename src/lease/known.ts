/**
 * All leases, the newest that is known of each: the last view, and what answers of etcd have told since it.
 * An answer counts until a view as new as it has come; one that none comes for is to be asked for again, since the
 * etcd that gave it may have been wiped, and its revisions begin anew.
 */
import { type ReadLease, readLease } from './codec.ts';
import type { KeyAnswer, KeyTransaction, StoredKey } from './keys.ts';
import type { Leases } from './view.ts';

/** What an answer told about a key; undefined: that it is absent. */
interface Told {
  readonly revision: number;
  /** When it is to be asked for again. */
  readonly staleAt: number;
  readonly read: ReadLease | undefined;
}

/** A live watch shows in milliseconds what was written. */
const STALE_MS = 3_000;

export class Known {
  #view: { readonly revision: number; readonly leases: Leases } | undefined;
  readonly #told = new Map<string, Told>();

  /** A complete view; `leases` may be the same, changed map each time. */
  setView(revision: number, leases: Leases, otherHistory: boolean): void {
    // A restored or replaced cluster counts anew, and perhaps higher: what was told before is not of its history.
    if (otherHistory || revision < (this.#view?.revision ?? 0)) this.#told.clear();
    this.#view = { revision, leases };
    for (const [name, told] of this.#told) if (told.revision <= revision) this.#told.delete(name);
  }

  /** What an answer of etcd told about a key; undefined: that it is absent. */
  tell(name: string, entry: StoredKey | undefined, revision: number, now: number): void {
    const seen = this.#view?.revision ?? 0;
    // The view is at least as new: the key may have been put and deleted before a slow answer to that put came.
    if (revision > 0 && revision <= seen) {
      this.#told.delete(name);
      return;
    }
    const ahead = revision > seen;
    const staleAt = ahead ? now + STALE_MS : Infinity;
    this.#told.set(name, { revision, staleAt, read: entry && readLease(name, entry) });
  }

  /** When the first answer has waited too long for a view. */
  get deadline(): number | undefined {
    let first = Infinity;
    for (const { staleAt } of this.#told.values()) first = Math.min(first, staleAt);
    return first === Infinity ? undefined : first;
  }

  /** A key to be read again. */
  stale(now: number): string | undefined {
    for (const [name, { staleAt }] of this.#told) if (now >= staleAt) return name;
    return undefined;
  }

  /** Each key of the transaction is now as that put or deleted it, or as its answer shows it: where not at all, absent. */
  tellAnswer(name: string, asked: KeyTransaction, answer: KeyAnswer, now: number): void {
    const [{ key, value, lease }, ...deletes] = asked.writes;
    const { revision } = answer;
    const nameOf = (other: string): string => other.slice(key.length - name.length);
    if (answer.succeeded) {
      const entry = { key, value, lease, createRevision: revision, modRevision: revision };
      this.tell(name, entry, revision, now);
      for (const gone of deletes) this.tell(nameOf(gone.key), undefined, revision, now);
      return;
    }
    for (const compared of asked.compare) {
      const entry = answer.current.find((current) => current.key === compared.key);
      this.tell(nameOf(compared.key), entry, revision, now);
    }
  }

  get(name: string): ReadLease | undefined {
    const told = this.#told.get(name);
    return told === undefined ? this.#view?.leases.get(name) : told.read;
  }

  /** Undefined before the first complete view. Usually nothing was told since, and it is the view itself. */
  get leases(): Leases | undefined {
    if (this.#view === undefined || this.#told.size === 0) return this.#view?.leases;
    const newest = new Map(this.#view.leases);
    for (const [name, { read }] of this.#told)
      if (read === undefined) newest.delete(name);
      else newest.set(name, read);
    return newest;
  }
}
