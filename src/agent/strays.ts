/**
 * Keys that have our address without being the one that we hold. Before we hold one, any of them may become it, and our
 * own side speaks of it; after that they are left as they are, and told like any refused one.
 */
import type { BookChanges } from '../lease/index.ts';

type Status = BookChanges['statuses'][number];

export class Strays {
  readonly #untold = new Map<string, Status>();

  /** Keeps back what `mayBeOurs` and returns the rest. */
  sift(statuses: readonly Status[], mayBeOurs: (name: string) => boolean): Status[] {
    return statuses.filter((status) => {
      this.#untold.delete(status.name);
      if (!mayBeOurs(status.name)) return true;
      this.#untold.set(status.name, status);
      return false;
    });
  }

  /** The statuses that were kept back, but that of the key which became ours. */
  release(ours: string): Status[] {
    const statuses = [...this.#untold.values()].filter(({ name }) => name !== ours);
    this.#untold.clear();
    return statuses;
  }
}
