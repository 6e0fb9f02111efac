/**
 * Everything the reconciler remembers per prefix besides the two views: which prefixes to look at, which wait for a
 * retry or a dump, and what is to be written and said about one now.
 */
import type { Random } from '../core/index.ts';
import type { Prefix } from '../ip/index.ts';
import { type Circumstances, Peer, stateOf, type Told } from './peer.ts';
import { Schedule } from './schedule.ts';
import type { Tracked } from './tracker.ts';
import type { RouteOp } from './types.ts';

const NO_OPS: readonly RouteOp[] = [];

/** The verdict on one prefix. */
export interface Judgement {
  /** What may be written now. */
  readonly ops: readonly RouteOp[];
  /** Its state, if that is not what people were told. */
  readonly news: Told | undefined;
}

export class Peers {
  readonly #random: Random;
  readonly #peers = new Map<string, Peer>();
  /** Something about these changed. */
  readonly #looks = new Set<string>();
  /** When to look at a prefix although nothing changes. */
  readonly #retry = new Schedule<string>();
  readonly #suspects = new Set<string>();

  constructor({ random }: { readonly random: Random }) {
    this.#random = random;
  }

  /** Whether there are prefixes to look at. */
  get waiting(): boolean {
    return this.#looks.size > 0;
  }

  /** When the next retry is due. */
  get next(): number | undefined {
    return this.#retry.next;
  }

  look(key: string): void {
    this.#looks.add(key);
  }

  /** The prefixes to look at, each taken off the list as it is given out. */
  *takeLooks(): Generator<string> {
    for (const key of this.#looks) {
      this.#looks.delete(key);
      yield key;
    }
  }

  /** Looks at those whose time has come. */
  wake(now: number): void {
    for (const key of this.#retry.due(now)) this.#looks.add(key);
  }

  /** Nothing is written for `key` before a dump has shown how it stands. */
  doubt(key: string): void {
    const peer = this.#peers.get(key);
    if (peer !== undefined) peer.suspect = true;
    this.#suspects.add(key);
    this.#looks.add(key);
  }

  /** A dump has shown how everything stands. */
  believe(): void {
    for (const key of this.#suspects) {
      const peer = this.#peers.get(key);
      if (peer !== undefined) peer.suspect = false;
      this.#looks.add(key);
    }
    this.#suspects.clear();
  }

  /** Looks at those that wait for a retry, for what is told of them may have changed. */
  lookAtWaiting(): void {
    for (const key of this.#retry.keys()) this.#looks.add(key);
  }

  /** Links or addresses changed: what failed is tried at once, and nobody is blamed for the rows in `changed`. */
  forgive(changed: readonly string[]): void {
    for (const key of [...this.#retry.keys(), ...changed]) {
      this.#peers.get(key)?.forgive();
      this.#looks.add(key);
    }
  }

  wrote(key: string, now: number): void {
    this.#peers.get(key)?.wrote(now, this.#random);
  }

  fail(key: string, why: Told, now: number): void {
    this.#peers.get(key)?.fail(why, now, this.#random);
  }

  judge(key: string, tracked: Tracked, around: Circumstances, now: number): Judgement {
    let peer = this.#peers.get(key);
    if (peer === undefined) {
      peer = new Peer(tracked.prefix, tracked.generation);
      this.#peers.set(key, peer);
    }
    if (peer.generation !== tracked.generation) peer.renew(tracked.generation);
    const ops = this.#permitted(key, tracked, peer, around, now);
    const told = stateOf(tracked, peer, around);
    return { ops, news: told !== undefined && peer.tell(told) ? told : undefined };
  }

  /** Drops a prefix, save that a doubtful one is kept until the next dump. Returns it if people were told of it. */
  forget(key: string): Prefix | 'doubtful' | undefined {
    const peer = this.#peers.get(key);
    if (peer?.suspect) return 'doubtful';
    this.#retry.delete(key);
    this.#peers.delete(key);
    return peer?.told && peer.prefix;
  }

  #permitted(
    key: string,
    { plan, wish }: Tracked,
    peer: Peer,
    around: Circumstances,
    now: number,
  ): readonly RouteOp[] {
    this.#retry.delete(key);
    if (!around.seen || peer.suspect) return NO_OPS;
    const again = plan.ops.length === 0 ? peer.calmAt(now) : peer.blockedUntil(now, this.#random);
    if (again !== undefined) this.#retry.set(key, again);
    if (again !== undefined || (plan.removes && !around.complete)) return NO_OPS;
    return around.held && wish === undefined ? NO_OPS : plan.ops;
  }
}
