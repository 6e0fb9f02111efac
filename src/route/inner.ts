/**
 * Foreign routes that lie inside wanted prefixes and so take a part of their packets, whatever their metric. Kept up to
 * date as routes and wishes come and go; a question costs one lookup, a foreign route one for each length that is wanted.
 */
import { familyOf, type Prefix, prefixOf } from '../ip/index.ts';
import type { KernelRoute } from './types.ts';

const NONE: readonly never[] = [];

export class Inner {
  /** By the text of the prefix around them. */
  readonly #inside = new Map<string, Map<string, KernelRoute>>();
  readonly #foreign = new Map<string, KernelRoute>();
  /** Lengths of wanted prefixes: usually one for each family. */
  readonly #lengths = { 4: new Set<number>(), 6: new Set<number>() };

  /** A prefix of this length is wanted. */
  wanted(prefix: Prefix): void {
    const lengths = this.#lengths[familyOf(prefix)];
    if (lengths.has(prefix.length)) return;
    lengths.add(prefix.length);
    for (const row of this.#foreign.values())
      if (familyOf(row.prefix) === familyOf(prefix) && row.prefix.length > prefix.length)
        this.#enter(row, prefix.length);
  }

  /** The foreign route of a prefix that nobody wants, or undefined: none. Returns the prefixes that this is news for. */
  set(prefix: Prefix, row: KernelRoute | undefined): readonly string[] {
    const key = prefix.text;
    if (row === undefined && !this.#foreign.has(key)) return NONE;
    if (row === undefined) this.#foreign.delete(key);
    else this.#foreign.set(key, row);
    const around = [...this.#lengths[familyOf(prefix)]].filter((length) => length < prefix.length);
    return around.map((length) =>
      row === undefined ? this.#leave(prefix, length) : this.#enter(row, length),
    );
  }

  /** The foreign routes inside `prefix`, in the order in which they were found. */
  of(prefix: Prefix): readonly KernelRoute[] {
    const rows = this.#inside.get(prefix.text);
    return rows === undefined ? NONE : [...rows.values()];
  }

  #enter(row: KernelRoute, length: number): string {
    const outer = prefixOf(row.prefix.address, length).text;
    const rows = this.#inside.get(outer);
    if (rows === undefined) this.#inside.set(outer, new Map([[row.prefix.text, row]]));
    else rows.set(row.prefix.text, row);
    return outer;
  }

  #leave(prefix: Prefix, length: number): string {
    const outer = prefixOf(prefix.address, length).text;
    const rows = this.#inside.get(outer);
    rows?.delete(prefix.text);
    if (rows?.size === 0) this.#inside.delete(outer);
    return outer;
  }
}
