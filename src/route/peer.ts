/**
 * What the reconciler remembers about one prefix besides its two views, and how it says so: the last failure, the
 * rounds of writing that decide whether somebody undoes them, and the state that people were last told.
 */
import { backoffMs, type Random } from '../core/index.ts';
import type { Prefix } from '../ip/index.ts';
import type { LinkState } from './links.ts';
import type { PeerState } from './reconcilerTypes.ts';
import { isRow } from './rows.ts';
import { rowText } from './rowText.ts';
import type { Tracked } from './tracker.ts';
import type { KernelRoute, OpFailure, Route, RouteOp } from './types.ts';

const RETRY = { firstMs: 500, maxMs: 30_000 };
/** Times of retries are multiples of this, so that thousands of prefixes share few batches. */
const TICK_MS = 100;
/** The jitter takes up to half away, so the first pause is 1 s at least. */
const CONTESTED_RETRY = { firstMs: 2_000, maxMs: 30_000 };
const CONTEST_WINDOW_MS = 10_000;
/** The write that installs and five that repair it: if that is undone as well, somebody means it. */
const ROUNDS_MAX = 6;

const NEVER: readonly number[] = [];

export interface Told {
  readonly state: PeerState;
  readonly reason: string;
}

interface Failure extends Told {
  readonly since: number;
  readonly until: number;
  /** Links or addresses have changed since, so that it says nothing of how they are now. */
  readonly past: boolean;
}

export class Peer {
  readonly prefix: Prefix;
  /** The generation of the wish that all of the below is about. */
  generation: number;
  /** The kernel's side is doubtful until the next dump. */
  suspect = false;
  failure: Failure | undefined;
  #told: Told | undefined;
  #failures = 0;
  /** When this prefix was written lately, oldest first. */
  #rounds: readonly number[] = NEVER;
  #missed: { readonly op: RouteOp; readonly at: number } | undefined;
  #contested: { level: number; until: number } | undefined;

  constructor(prefix: Prefix, generation: number) {
    this.prefix = prefix;
    this.generation = generation;
  }

  /** The state that people were last told. */
  get told(): Told | undefined {
    return this.#told;
  }

  /** Notes what people are told; returns whether it is news. */
  tell(told: Told): boolean {
    const before = this.#told;
    this.#told = told;
    return before?.state !== told.state || before.reason !== told.reason;
  }

  get contested(): boolean {
    return this.#contested !== undefined;
  }

  /** The wish changed: what happened to the old one says nothing about the new. */
  renew(generation: number): void {
    this.generation = generation;
    this.clearFailure();
    this.#contested = undefined;
    this.#missed = undefined;
    this.#rounds = NEVER;
  }

  /** Something relevant changed around us: try again at once, and blame nobody for routes that went with a link. */
  forgive(): void {
    // The failure stays what people know of, until the try has shown better.
    if (this.failure !== undefined)
      this.failure = { ...this.failure, until: Number.NEGATIVE_INFINITY, past: true };
    this.#failures = 0;
    if (this.#contested === undefined) this.#rounds = NEVER;
  }

  fail(why: Told, now: number, random: Random): void {
    this.#failures += 1;
    const until = tickAfter(now + backoffMs(this.#failures, RETRY, random));
    this.failure = { ...why, since: now, until, past: false };
  }

  clearFailure(): void {
    this.failure = undefined;
    this.#failures = 0;
  }

  /** The kernel said that the prefix was not as we had seen it: by an EEXIST or an ESRCH. A dump tells why. */
  missed(op: RouteOp, now: number): void {
    this.#missed = { op, at: now };
  }

  /** A dump has shown what is there. Nobody undid anything where the wanted route stands as before: our view was wrong. */
  believe({ rows, plan }: Tracked, now: number, random: Random): void {
    this.suspect = false;
    const missed = this.#missed;
    this.#missed = undefined;
    if (missed === undefined) return;
    const { op, at } = missed;
    if (op.kind === 'delete' && rows.some((row) => isRow(op.route, row)))
      this.fail(UNDELETABLE, now, random);
    else if (plan.standing === undefined && this.#rounds.at(-1) !== at) this.wrote(at, random);
  }

  /** The kernel took a write. */
  wrote(now: number, random: Random): void {
    this.#rounds = this.#rounds.length === 0 ? [now] : [...this.#rounds, now];
    if (this.#contested === undefined) return;
    this.#contested.level += 1;
    this.#pause(this.#contested, now, random);
  }

  /**
   * Until when nothing may be written; undefined: go ahead. What was refused because of its link is not tried again while
   * that is known to be down, save every 30 s, all at once: whoever tells of links might have missed something.
   */
  blockedUntil(now: number, random: Random, linkIsDown: boolean): number | undefined {
    const { failure } = this;
    if (failure !== undefined) {
      const waits = linkIsDown && isOfLink(failure);
      const until = waits ? tickAfter(failure.since + RETRY.maxMs) : failure.until;
      if (now < until) return until;
    }
    if (this.#rounds.length > 0)
      this.#rounds = this.#rounds.filter((at) => at > now - CONTEST_WINDOW_MS);
    if (this.#contested === undefined) {
      if (this.#rounds.length < ROUNDS_MAX) return undefined;
      this.#contested = { level: 1, until: now };
      this.#pause(this.#contested, now, random);
    }
    return now < this.#contested.until ? this.#contested.until : undefined;
  }

  /** Nothing is to be written. Returns when to look again whether the contest is over; undefined: no contest. */
  calmAt(now: number): number | undefined {
    this.clearFailure();
    if (this.#contested === undefined) return undefined;
    const calm = Math.max(this.#contested.until, (this.#rounds.at(-1) ?? 0) + CONTEST_WINDOW_MS);
    if (now < calm) return calm;
    this.#contested = undefined;
    this.#rounds = NEVER;
    return undefined;
  }

  #pause(contested: { level: number; until: number }, now: number, random: Random): void {
    contested.until = tickAfter(now + backoffMs(contested.level, CONTESTED_RETRY, random));
  }
}

export interface Circumstances {
  /** Whether a hold protects the prefix of this text. */
  readonly holds: (key: string) => boolean;
  /** The kernel's routes are known. */
  readonly seen: boolean;
  /** The leases are known in full. */
  readonly complete: boolean;
  readonly deviceName: (device: number) => string;
  readonly linkState: (device: number) => LinkState;
  /** Foreign routes inside a prefix. */
  readonly inside: (prefix: Prefix) => readonly KernelRoute[];
}

/** The state of a prefix; undefined where there is nothing to say, as of a route of ours that nobody wants. */
export function stateOf(
  tracked: Tracked,
  peer: Peer,
  around: Circumstances,
  held: boolean,
): Told | undefined {
  const { plan, wish } = tracked;
  if (held && tracked.own > 0) return HELD;
  if (wish !== undefined && !around.seen) return UNSEEN;
  if (plan.rival !== undefined) return { state: 'conflict', reason: rivalText(plan.rival, around) };
  if (peer.suspect && peer.told !== undefined) return peer.told;
  if (peer.contested) return CONTESTED;
  if (peer.failure?.reason === UNDELETABLE.reason && plan.standing !== undefined)
    return INSTALLED_BESIDE;
  if (peer.failure !== undefined) return failed(peer.failure, wish, peer, around);
  if (wish === undefined) return undefined;
  if (plan.standing?.linkDown) return NO_CARRIER;
  if (plan.ops.length === 0 || plan.standing !== undefined) return installed(tracked, around);
  return plan.removes && !around.complete ? UNREPLACED : PENDING;
}

/** IPv4 gives one errno for a gateway that is off-link and for a device that is down: the link's state tells. */
function failed(
  failure: Failure,
  wish: Route | undefined,
  peer: Peer,
  around: Circumstances,
): Told {
  if (wish === undefined || !isOfLink(failure))
    return { state: failure.state, reason: failure.reason };
  const link = around.linkState(wish.device);
  if (link === 'unsure') return peer.told ?? PENDING;
  if (link === 'down')
    return { state: 'link-down', reason: `${around.deviceName(wish.device)} is down.` };
  if (link === 'gone') return { state: 'link-down', reason: 'The device is gone.' };
  // It may have been the device, which is up again: the try that comes now tells.
  if (failure.past && link === 'up') return peer.told ?? PENDING;
  return { state: failure.state, reason: failure.reason };
}

/** Whether the state of the link decides what is the matter. */
function isOfLink({ state }: Told): boolean {
  return state === 'off-link' || state === 'link-down';
}

function tickAfter(time: number): number {
  return Math.ceil(time / TICK_MS) * TICK_MS;
}

function installed({ prefix }: Tracked, around: Circumstances): Told {
  const inside = around.inside(prefix);
  if (inside.length === 0) return INSTALLED;
  const [first, ...more] = inside;
  if (first === undefined) return INSTALLED;
  const others = more.length === 0 ? '' : ` and ${more.length} more`;
  const route = `${first.prefix.text} ${rowText(first, around.deviceName)}`;
  const reason = `The route is in place, but part of the prefix goes elsewhere: ${route}${others}.`;
  return { state: 'installed', reason };
}

/** The reason of a peer that is `installed` with nothing more to say. */
export const IN_PLACE = 'The route is in place.';
const INSTALLED: Told = { state: 'installed', reason: IN_PLACE };
const PENDING: Told = { state: 'pending', reason: 'The route is being written.' };
const UNSEEN: Told = {
  state: 'pending',
  reason: 'Nothing is written before the routes of the kernel are known.',
};
const UNREPLACED: Told = {
  state: 'pending',
  reason: 'The route that stands there is replaced once all leases are known.',
};
const NO_CARRIER: Told = {
  state: 'link-down',
  reason: 'The link has lost its carrier; the route is kept.',
};
const HELD: Told = {
  state: 'held',
  reason:
    'It is no longer wanted, but too many went with it or the view is in doubt: its route stays until the hold ends.',
};
const UNDELETABLE: Told = {
  state: 'rejected',
  reason:
    'A route with our protocol cannot be deleted: the kernel does not find it by what it shows.',
};
const INSTALLED_BESIDE: Told = {
  state: 'installed',
  reason: `The route is in place, but beside it: ${UNDELETABLE.reason}`,
};
const CONTESTED: Told = {
  state: 'contested',
  reason: 'Somebody keeps undoing this route; it is put back after pauses of 1 to 30 s.',
};

/** What a failed operation says about its peer. */
export function failureOf(failure: OpFailure): Told {
  return { state: failureState(failure), reason: `${failure.message} (${failure.code})` };
}

function failureState({ code, message }: OpFailure): PeerState {
  if (code === 'ENETDOWN' || code === 'ENODEV' || /\bnot up\b|\bdown\b/i.test(message))
    return 'link-down';
  // IPv6 says EHOSTUNREACH without a sentence for a gateway that is not on-link, and for a device that is down.
  if (code === 'ENETUNREACH' || code === 'EHOSTUNREACH') return 'off-link';
  return 'rejected';
}

function rivalText(rival: KernelRoute, around: Circumstances): string {
  return `Another route is in the way and left alone: ${rowText(rival, around.deviceName)}.`;
}
