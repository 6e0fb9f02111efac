/** What the core of our own subnet waits for: one request at a time, the disk's word, and its turn in a contest. */
import { type BackoffOptions, backoffMs, type Random } from '../core/index.ts';
import { leaseValue } from './codec.ts';
import type { KeyPut, KeyTransaction } from './keys.ts';
import { stateText } from './ownership.ts';
import type { PutPlan } from './ownPlan.ts';
import type { OwnState } from './state.ts';

/** The one request under way. */
export type Pending =
  | { readonly kind: 'persist'; readonly attempt: number; readonly state: OwnState }
  | {
      readonly kind: 'transact';
      readonly attempt: number;
      readonly name: string;
      readonly transaction: KeyTransaction;
    }
  | { readonly kind: 'read'; readonly attempt: number; readonly name: string };

/** Our key, which is named `name`, put on its condition, in the place of earlier ones, each as it was last seen. */
export function transactionOf(
  prefix: string,
  name: string,
  { condition, here, lease, earlier = [] }: PutPlan,
): KeyTransaction {
  const put: KeyPut = { type: 'put', key: prefix + name, value: leaseValue(here), lease };
  const gone = earlier.map((one) => ({ key: prefix + one.name, revision: one.revision }));
  return {
    compare: [
      { key: put.key, ...condition },
      ...gone.map(({ key, revision }) => ({ key, is: 'modRevision' as const, revision })),
    ],
    writes: [put, ...gone.map(({ key }) => ({ type: 'delete' as const, key }))],
  };
}

/** The first of these times. */
export function earliest(...times: readonly (number | undefined)[]): number | undefined {
  const set = times.filter((at) => at !== undefined);
  return set.length === 0 ? undefined : Math.min(...set);
}

const SAVE_AGAIN_MS = 30_000;

/** What the disk holds. A state that it refused is no reason to stop meanwhile, and tried again. */
export class OnDisk {
  #saved: string | undefined;
  #refused: string | undefined;
  #againAt: number | undefined;

  constructor(state: OwnState | undefined) {
    this.#saved = state && stateText(state);
  }

  get deadline(): number | undefined {
    return this.#againAt;
  }

  /** Whether `state` has to be written now. */
  lacks(state: OwnState): boolean {
    const text = stateText(state);
    return text !== this.#saved && text !== this.#refused;
  }

  saved(state: OwnState): void {
    this.#saved = stateText(state);
    this.#refused = undefined;
    this.#againAt = undefined;
  }

  failed(state: OwnState, now: number): void {
    this.#refused = stateText(state);
    this.#againAt = now + SAVE_AGAIN_MS;
  }

  wake(now: number): void {
    if (this.#againAt === undefined || now < this.#againAt) return;
    this.#againAt = undefined;
    this.#refused = undefined;
  }
}

/** When etcd is to be asked again: after a failure, and after a refusal that leads to the very same request. */
export class Retry {
  readonly #options: BackoffOptions;
  readonly #random: Random;
  #failures = 0;
  #at: number | undefined;
  #refused: string | undefined;

  constructor(options: BackoffOptions, random: Random) {
    this.#options = options;
    this.#random = random;
  }

  get deadline(): number | undefined {
    return this.#at;
  }

  failed(now: number): void {
    this.#failures += 1;
    this.#at = now + backoffMs(this.#failures, this.#options, this.#random);
  }

  answered(asked: KeyTransaction, succeeded: boolean): void {
    if (succeeded) this.#failures = 0;
    this.#refused = succeeded ? undefined : JSON.stringify(asked);
  }

  /** Whether this was refused just now. Then its wait has begun: what we know of etcd may be behind. */
  isRefused(asked: KeyTransaction, now: number): boolean {
    if (this.#refused === undefined) return false;
    const same = this.#refused === JSON.stringify(asked);
    this.#refused = undefined;
    if (same) this.failed(now);
    else this.#failures = 0;
    return same;
  }

  wake(now: number): void {
    if (this.#at !== undefined && now >= this.#at) this.#at = undefined;
  }
}

// Two hosts with one address would otherwise write in turns as fast as etcd answers.
const PACE: BackoffOptions = { firstMs: 2_000, maxMs: 60_000 };

/** Our turns against another writer of our key: each waits longer than the one before. */
export class Contest {
  readonly #random: Random;
  #turns = 0;
  #at: number | undefined;
  #due = false;

  constructor(random: Random) {
    this.#random = random;
  }

  get deadline(): number | undefined {
    return this.#at;
  }

  /** Whether it is our turn; else its wait has begun. */
  isTurn(now: number): boolean {
    if (this.#due) return true;
    if (this.#at === undefined) {
      this.#turns += 1;
      this.#at = now + backoffMs(this.#turns, PACE, this.#random);
    }
    return false;
  }

  /** Nobody else writes now. */
  over(): void {
    this.#at = undefined;
    this.#due = false;
  }

  wake(now: number): void {
    if (this.#at === undefined || now < this.#at) return;
    this.#at = undefined;
    this.#due = true;
  }
}
