/** Who listens to the fake kernel, and hints on their way: changes merge until the hint is delivered. */
import type { DumpFilter, Hint, KernelRoute } from '../../src/route/types.ts';
import { sees } from './fakeTable.ts';

const QUIET: Hint = { links: false, addresses: false, routes: false };

interface Listener {
  readonly filter: DumpFilter;
  readonly onHint: (hint: Hint) => void;
  waiting: Hint | undefined;
  ended: boolean;
}

export class FakeHints {
  readonly #listeners = new Set<Listener>();
  readonly #later: (work: () => void) => void;

  /** `later` runs a delivery when its turn comes. */
  constructor(later: (work: () => void) => void) {
    this.#later = later;
  }

  /** Starts listening; the returned function ends it, also for hints on their way. */
  listen(filter: DumpFilter, onHint: (hint: Hint) => void): () => void {
    const listener: Listener = { filter, onHint, waiting: undefined, ended: false };
    this.#listeners.add(listener);
    return () => {
      listener.ended = true;
      this.#listeners.delete(listener);
    };
  }

  send(change: Partial<Hint>): void {
    for (const listener of this.#listeners) this.#merge(listener, change);
  }

  /** A route came or went: those whose filter sees it are told. */
  route(route: KernelRoute): void {
    for (const listener of this.#listeners) {
      if (sees(listener.filter, route)) this.#merge(listener, { routes: true });
    }
  }

  #merge(listener: Listener, change: Partial<Hint>): void {
    const first = listener.waiting === undefined;
    listener.waiting = { ...(listener.waiting ?? QUIET), ...change };
    if (!first) return;
    this.#later(() => {
      const hint = listener.waiting;
      listener.waiting = undefined;
      if (hint !== undefined && !listener.ended) listener.onHint(hint);
    });
  }
}
