/**
 * Mass loss: if within any 10 s at least 3 peers and more than half of them would go, none of these goes; nor does a
 * single one that a suspect view no longer has. A hold ends when every prefix has returned, when for `holdMs` none has,
 * or when the operator confirms. It does not end because fewer than the bound are left: those that came back show that the loss was false, so the rest is likely to follow,
 * and a stale route to a dead host costs nothing. While a hold stands, every further loss joins it.
 */
import type { Prefix } from '../ip/index.ts';
import type { Route } from './types.ts';

const WINDOW_MS = 10_000;
const LEAST = 3;

/** What was lost; `wish` is undefined for a kernel route that no lease was ever seen for. */
export interface Loss {
  readonly prefix: Prefix;
  readonly wish: Route | undefined;
}

interface Standing {
  readonly held: Map<string, Loss>;
  readonly of: number;
  until: number;
}

/** Whether so many losses, of so many peers, are more than a cluster loses by itself. */
export const isMassLoss = (count: number, of: number): boolean => count >= LEAST && count * 2 > of;

export class Hold {
  readonly #holdMs: number;
  /** Losses within the window that did not return, oldest first. */
  readonly #recent = new Map<string, Loss & { readonly at: number }>();
  /** Peers that came after the oldest of these losses: they do not belong to "more than half of them". */
  readonly #fresh = new Map<string, number>();
  #standing: Standing | undefined;

  constructor(holdMs: number) {
    this.#holdMs = holdMs;
  }

  /** When the hold runs out. */
  get until(): number | undefined {
    return this.#standing?.until;
  }

  /** Nothing is held, and nothing was lost lately that could return. */
  get idle(): boolean {
    return this.#standing === undefined && this.#recent.size === 0;
  }

  get count(): number {
    return this.#standing?.held.size ?? 0;
  }

  /** Of how many the held ones are a part. */
  get of(): number {
    return this.#standing?.of ?? 0;
  }

  holds(key: string): boolean {
    return this.#standing?.held.has(key) ?? false;
  }

  /** A prefix is wanted. Returns whether it had been lost: within the window, or held. */
  returned(key: string, now: number): boolean {
    const recent = this.#recent.delete(key);
    return this.release(key, now) || recent;
  }

  /** A prefix is wanted that was not before. */
  came(key: string, now: number): void {
    if (this.#recent.size > 0) this.#fresh.set(key, now);
  }

  /** Holds a prefix no longer, because it returned or has no route left. Returns whether it was held. */
  release(key: string, now: number): boolean {
    const standing = this.#standing;
    if (!standing?.held.delete(key)) return false;
    standing.until = now + this.#holdMs;
    if (standing.held.size === 0) this.#standing = undefined;
    return true;
  }

  /**
   * Judges losses that come at one moment, when `left` peers remain wanted. Returns what is held from now on, at a mass
   * loss those included that went within the window before: they are to be put back. `suspect`: held, however few.
   */
  lose(losses: readonly Loss[], left: number, now: number, suspect = false): readonly Loss[] {
    if (losses.length === 0) return [];
    if (this.#standing !== undefined) {
      for (const loss of losses) this.#standing.held.set(loss.prefix.text, loss);
      return losses;
    }
    this.#forget(now);
    for (const loss of losses) {
      this.#fresh.delete(loss.prefix.text);
      this.#recent.set(loss.prefix.text, { ...loss, at: now });
    }
    const of = left - this.#fresh.size + this.#recent.size;
    if (isMassLoss(this.#recent.size, of)) return this.#begin([...this.#recent.values()], of, now);
    return suspect ? this.#begin(losses, of, now) : [];
  }

  /** Judges the first sweep: kernel routes of ours that nobody wants, out of `of` prefixes that have one. `suspect`: as for a loss. */
  sweep(unwanted: readonly Loss[], of: number, now: number, suspect = false): readonly Loss[] {
    if (this.#standing !== undefined) return this.lose(unwanted, 0, now);
    const isHeld = isMassLoss(unwanted.length, of) || (suspect && unwanted.length > 0);
    return isHeld ? this.#begin(unwanted, of, now) : [];
  }

  /** What would be put back goes by another device. */
  move(from: number, to: number): void {
    for (const [key, loss] of this.#recent)
      if (loss.wish?.device === from)
        this.#recent.set(key, { ...loss, wish: { ...loss.wish, device: to } });
  }

  /** Ends the hold, for a reason that lets its routes go; returns what was held. */
  end(): readonly Loss[] {
    const held = [...(this.#standing?.held.values() ?? [])];
    this.#standing = undefined;
    return held;
  }

  #begin(losses: readonly Loss[], of: number, now: number): readonly Loss[] {
    const held = new Map(losses.map((loss) => [loss.prefix.text, loss]));
    this.#standing = { held, of, until: now + this.#holdMs };
    this.#recent.clear();
    this.#fresh.clear();
    return losses;
  }

  #forget(now: number): void {
    for (const [key, { at }] of this.#recent) {
      if (at > now - WINDOW_MS) break;
      this.#recent.delete(key);
    }
    const oldest = this.#recent.values().next().value?.at ?? now;
    for (const [key, at] of this.#fresh) {
      if (at >= oldest) break;
      this.#fresh.delete(key);
    }
  }
}
