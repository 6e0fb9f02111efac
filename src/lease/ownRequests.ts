/** What the core of our own subnet waits for, and what answers have told it before the view does. */
import type { ReadLease } from './codec.ts';
import type { KeyPut } from './keys.ts';
import type { OwnState } from './state.ts';
import type { Leases } from './view.ts';

/** The one request under way. */
export type Pending =
  | { readonly kind: 'persist'; readonly attempt: number; readonly state: OwnState }
  | {
      readonly kind: 'transact';
      readonly attempt: number;
      readonly name: string;
      readonly put: KeyPut;
    }
  | { readonly kind: 'read'; readonly attempt: number; readonly name: string };

/** What an answer told about a key, where the view may be older. */
export interface Told {
  readonly revision: number;
  readonly read: ReadLease | undefined;
}

export interface KnownView {
  readonly revision: number;
  readonly leases: Leases;
}

/** The view, with what answers have told since; usually that is nothing, and the view itself. */
export function newestOf(
  view: KnownView | undefined,
  told: ReadonlyMap<string, Told>,
): Leases | undefined {
  if (view === undefined || told.size === 0) return view?.leases;
  const newest = new Map(view.leases);
  for (const [name, { read }] of told)
    if (read === undefined) newest.delete(name);
    else newest.set(name, read);
  return newest;
}
