/**
 * Everything the reconciler remembers per prefix besides the two views: which prefixes to look at, which wait for a
 * retry or a dump, and what is to be written and said about one now.
 */
import type { Random } from '../core/index.ts';
import type { Prefix } from '../ip/index.ts';
import { type Circumstances, Peer, stateOf, type Told } from './peer.ts';
import type { ReconcilerOutput } from './reconcilerTypes.ts';
import { Schedule } from './schedule.ts';
import type { Tracked } from './tracker.ts';
import type { RouteOp } from './types.ts';

type PeerNews = Extract<ReconcilerOutput, { type: 'peer' }>;

const NO_OPS: readonly RouteOp[] = [];

/** The verdict on one prefix. */
export interface Judgement {
  /** What may be written now. */
  readonly ops: readonly RouteOp[];
  /** Its state, if that is not what people were told. */
  readonly news: PeerNews | undefined;
}

export class Peers {
  readonly #random: Random;
  /** Something about these changed; from #next on. */
  #looks: Tracked[] = [];
  #next = 0;
  /** When to look at a prefix although nothing changes. */
  readonly #retry = new Schedule<Tracked>();
  readonly #suspects = new Set<Tracked>();

  constructor({ random }: { readonly random: Random }) {
    this.#random = random;
  }

  /** Whether there are prefixes to look at. */
  get waiting(): boolean {
    return this.#next < this.#looks.length;
  }

  /** When the next retry is due. */
  get next(): number | undefined {
    return this.#retry.next;
  }

  look(tracked: Tracked): void {
    if (tracked.queued) return;
    tracked.queued = true;
    this.#looks.push(tracked);
  }

  /** The next prefix to look at, taken off the list. */
  takeLook(): Tracked | undefined {
    const tracked = this.#looks[this.#next];
    if (tracked === undefined) {
      this.#looks = [];
      this.#next = 0;
      return undefined;
    }
    this.#next += 1;
    tracked.queued = false;
    return tracked;
  }

  /** Looks at those whose time has come. */
  wake(now: number): void {
    for (const tracked of this.#retry.due(now)) this.look(tracked);
  }

  /** Nothing is written for a prefix before a dump has shown how it stands. */
  doubt(tracked: Tracked): void {
    if (tracked.peer !== undefined) tracked.peer.suspect = true;
    this.#suspects.add(tracked);
    this.look(tracked);
  }

  /** A dump has shown how everything stands. */
  believe(now: number): void {
    for (const tracked of this.#suspects) {
      tracked.peer?.believe(tracked, now, this.#random);
      this.look(tracked);
    }
    this.#suspects.clear();
  }

  /** Looks at those that wait for a retry, for what is told of them may have changed. */
  lookAtWaiting(): void {
    for (const tracked of this.#retry.keys()) this.look(tracked);
  }

  /** Links or addresses changed: what failed is tried at once, and nobody is blamed for the rows in `changed`. */
  forgive(changed: readonly Tracked[]): void {
    for (const tracked of [...this.#retry.keys(), ...changed]) {
      tracked.peer?.forgive();
      this.look(tracked);
    }
    // What failed a moment ago, before the change perhaps, waits for its look and for no retry yet.
    for (const { peer } of this.#looks.slice(this.#next)) if (peer?.failure) peer.forgive();
  }

  wrote(tracked: Tracked, now: number): void {
    tracked.peer?.wrote(now, this.#random);
  }

  fail(tracked: Tracked, why: Told, now: number): void {
    tracked.peer?.fail(why, now, this.#random);
  }

  judge(tracked: Tracked, around: Circumstances, now: number): Judgement {
    tracked.peer ??= new Peer(tracked.prefix, tracked.generation);
    const { peer } = tracked;
    if (peer.generation !== tracked.generation) peer.renew(tracked.generation);
    const held = around.holds(tracked.prefix.text);
    const ops = this.#permitted(tracked, peer, around, held, now);
    const told = stateOf(tracked, peer, around, held);
    if (told === undefined || !peer.tell(told)) return { ops, news: undefined };
    const { state, reason } = told;
    return { ops, news: { type: 'peer', prefix: tracked.prefix, state, reason } };
  }

  /** Drops a prefix, save that a doubtful one is kept until the next dump. Returns it if people were told of it. */
  forget(tracked: Tracked): Prefix | 'doubtful' | undefined {
    const { peer } = tracked;
    if (peer?.suspect) return 'doubtful';
    this.#retry.delete(tracked);
    tracked.peer = undefined;
    return peer?.told && peer.prefix;
  }

  #permitted(
    tracked: Tracked,
    peer: Peer,
    around: Circumstances,
    held: boolean,
    now: number,
  ): readonly RouteOp[] {
    const { plan, wish } = tracked;
    this.#retry.delete(tracked);
    if (!around.seen || peer.suspect) return NO_OPS;
    const again =
      plan.ops.length === 0
        ? peer.calmAt(now)
        : peer.blockedUntil(now, this.#random, waitsForLink(tracked, around));
    if (again !== undefined) this.#retry.set(tracked, again);
    if (again !== undefined || (plan.removes && !around.complete)) return NO_OPS;
    return held && wish === undefined ? NO_OPS : plan.ops;
  }
}

/** Whether what is to be added would go by a link that is known to be down, or gone. */
function waitsForLink({ plan, wish, peer }: Tracked, around: Circumstances): boolean {
  if (peer?.failure === undefined || wish === undefined || plan.ops[0]?.kind === 'delete')
    return false;
  const link = around.linkState(wish.device);
  return link === 'down' || link === 'gone';
}
