/**
 * All leases and which of them are believed, kept up to date change by change.
 * The result depends on the leases alone, not on the order in which they were heard of: of two that cannot both
 * be believed, the one created first is (etcd's create revision), and the other one waits for it to go.
 */
import { type Address, type Prefix, prefixOf, sameAddress } from '../ip/index.ts';
import type { Malformed } from './codec.ts';
import { type JudgeContext, judge, type Peer, type Verdict, warningsFor } from './judge.ts';
import type { Lease } from './types.ts';
import type { LeaseChange } from './view.ts';

/** What became of a lease, for users. */
export type PeerStatus =
  | Verdict
  | { readonly kind: 'malformed'; readonly reason: string }
  /** No network config yet: nothing can be judged. */
  | { readonly kind: 'unjudged' };

/** A route that is wanted now (gateway), or not any more (undefined). */
export interface PeerRouteChange {
  readonly prefix: Prefix;
  readonly gateway: Peer['gateway'] | undefined;
}

export interface PeerStatusChange {
  readonly name: string;
  /** Undefined: the lease is gone. */
  readonly status: PeerStatus | undefined;
}

export interface BookChanges {
  readonly routes: readonly PeerRouteChange[];
  readonly statuses: readonly PeerStatusChange[];
}

type Believed = Extract<Verdict, { kind: 'believed' }>;

/** The first address of a subnet. All subnets of a family have one length, so that it tells which one it is. */
type First = Address['value'];

interface Holder {
  readonly peer: Peer;
  readonly contender: Contender;
}

/** A lease that is fine by itself, and so contends with others. */
interface Contender {
  readonly lease: Lease;
  readonly verdict: Believed;
  /** The older believed lease that stands in its way; undefined: it is believed itself. */
  blocker: Contender | undefined;
  /** Those whose `blocker` this is; undefined: there was none yet, as with nearly all. */
  blocks: Set<Contender> | undefined;
}

interface Rivalry {
  readonly rival: Contender;
  readonly why: string;
  readonly whyRival: string;
}

const NO_RIVALS: readonly Rivalry[] = [];

interface Kept {
  readonly source: Lease | Malformed;
  status: PeerStatus;
  contender: Contender | undefined;
}

export class PeerBook {
  #context: JudgeContext | undefined;
  readonly #kept = new Map<string, Kept>();
  /** Believed leases by their subnet. */
  readonly #holders = new Map<First, Holder>();
  /** Believed leases by the subnet that their gateway would lie in. */
  readonly #gateways = new Map<First, Set<Contender>>();
  #routesBefore = new Map<string, PeerRouteChange>();
  #statusBefore = new Map<string, PeerStatus | undefined>();

  /** The status of every lease, by name. */
  get statuses(): ReadonlyMap<string, { readonly status: PeerStatus }> {
    return this.#kept;
  }

  /** Every route that is wanted. */
  routes(): Peer[] {
    return Array.from(this.#holders.values(), ({ peer }) => peer);
  }

  /** What is legal but deserves one warning. */
  warnings(): string[] {
    return this.#context === undefined ? [] : warningsFor(this.#context);
  }

  /** Takes changed leases, as LeaseView gives them. */
  apply(changes: readonly LeaseChange[]): BookChanges {
    for (const { name, read } of changes) {
      this.#remember(name);
      this.#drop(name);
      if (read === undefined) this.#kept.delete(name);
      else this.#keep(name, read.kind === 'lease' ? read.lease : read);
    }
    return this.#changes();
  }

  /** Judges every lease again, against another config, other own subnets or other surroundings. */
  setContext(context: JudgeContext): BookChanges {
    this.#context = context;
    const changed: Lease[] = [];
    for (const { source, status, contender } of this.#kept.values()) {
      if ('reason' in source) continue;
      if (!sameVerdict(contender?.verdict ?? status, judge(source, context))) changed.push(source);
    }
    for (const { name } of changed) {
      this.#remember(name);
      this.#drop(name);
    }
    // Oldest first: then nobody is believed only to be ousted.
    for (const source of changed.sort(byAge)) this.#keep(source.name, source);
    return this.#changes();
  }

  #keep(name: string, source: Lease | Malformed): void {
    const kept: Kept = { source, status: { kind: 'unjudged' }, contender: undefined };
    this.#kept.set(name, kept);
    if ('reason' in source) {
      kept.status = { kind: 'malformed', reason: source.reason };
    } else if (this.#context !== undefined) {
      const verdict = judge(source, this.#context);
      kept.status = verdict;
      if (verdict.kind !== 'believed') return;
      const contender: Contender = {
        lease: source,
        verdict,
        blocker: undefined,
        blocks: undefined,
      };
      kept.contender = contender;
      this.#settle([contender]);
    }
  }

  #drop(name: string): void {
    const kept = this.#kept.get(name);
    const contender = kept?.contender;
    if (kept === undefined || contender === undefined) return;
    kept.contender = undefined;
    if (contender.blocker !== undefined) contender.blocker.blocks?.delete(contender);
    else this.#settle(this.#leave(contender));
  }

  /**
   * Decides for each whether it is believed. Who is believed depends only on older leases, so that this ends:
   * whoever is let in can only oust younger ones, which free still younger ones.
   */
  #settle(pending: Contender[]): void {
    let round = pending;
    while (round.length > 0) {
      const next: Contender[] = [];
      for (const contender of round.sort((a, b) => byAge(a.lease, b.lease))) {
        const rivals = this.#rivalsOf(contender);
        const older = rivals.find(({ rival }) => byAge(rival.lease, contender.lease) < 0);
        if (older !== undefined) {
          this.#block(contender, older.rival, older.why);
          continue;
        }
        for (const { rival, whyRival } of rivals) {
          next.push(...this.#leave(rival));
          this.#block(rival, contender, whyRival);
        }
        this.#enter(contender);
      }
      round = next;
    }
  }

  /** The believed leases that cannot be believed together with this one, and what to say about each side. */
  #rivalsOf(self: Contender): readonly Rivalry[] {
    // Nearly none has any.
    let rivals: Map<Contender, Rivalry> | undefined;
    const add = (rival: Contender | undefined, why: string, whyRival: string): void => {
      if (rival === undefined || rival === self) return;
      rivals ??= new Map();
      if (!rivals.has(rival)) rivals.set(rival, { rival, why, whyRival });
    };
    const older = 'overlaps an older lease of the same subnet,';
    const holds = 'holds the gateway of the older lease';
    const held = 'has its gateway inside the subnet of the older lease';
    for (const peer of self.verdict.peers) {
      add(this.#holders.get(firstOf(peer))?.contender, older, older);
      for (const rival of this.#gateways.get(firstOf(peer)) ?? []) add(rival, holds, held);
      add(this.#holders.get(aroundGateway(peer))?.contender, held, holds);
    }
    return rivals === undefined ? NO_RIVALS : [...rivals.values()];
  }

  #enter(contender: Contender): void {
    for (const peer of contender.verdict.peers) {
      const around = aroundGateway(peer);
      this.#touch(peer);
      this.#holders.set(firstOf(peer), { peer, contender });
      const inside = this.#gateways.get(around);
      if (inside === undefined) this.#gateways.set(around, new Set([contender]));
      else inside.add(contender);
    }
    this.#setStatus(contender, contender.verdict);
  }

  /** Takes a believed lease out and returns those that it stood in the way of. */
  #leave(contender: Contender): Contender[] {
    for (const peer of contender.verdict.peers) {
      const around = aroundGateway(peer);
      this.#touch(peer);
      this.#holders.delete(firstOf(peer));
      const inside = this.#gateways.get(around);
      inside?.delete(contender);
      if (inside?.size === 0) this.#gateways.delete(around);
    }
    const freed = [...(contender.blocks ?? [])];
    contender.blocks = undefined;
    for (const one of freed) one.blocker = undefined;
    return freed;
  }

  #block(contender: Contender, blocker: Contender, why: string): void {
    contender.blocker = blocker;
    blocker.blocks ??= new Set();
    blocker.blocks.add(contender);
    const reason = `lease ${contender.lease.name} ${why} ${blocker.lease.name}`;
    this.#setStatus(contender, { kind: 'refused', reason });
  }

  #setStatus({ lease }: Contender, status: PeerStatus): void {
    this.#remember(lease.name);
    const kept = this.#kept.get(lease.name);
    if (kept !== undefined) kept.status = status;
  }

  /** Notes how things were before this call, so that only real differences are told. */
  #remember(name: string): void {
    if (!this.#statusBefore.has(name)) this.#statusBefore.set(name, this.#kept.get(name)?.status);
  }

  #touch(peer: Peer): void {
    const { prefix } = peer;
    if (this.#routesBefore.has(prefix.text)) return;
    this.#routesBefore.set(prefix.text, this.#routeTo(prefix));
  }

  /** Where the prefix is routed to now. Under another config the same address may have begun a subnet of another length. */
  #routeTo(prefix: Prefix): PeerRouteChange {
    const peer = this.#holders.get(prefix.address.value)?.peer;
    return peer?.prefix.length === prefix.length ? peer : { prefix, gateway: undefined };
  }

  #changes(): BookChanges {
    const routes: PeerRouteChange[] = [];
    for (const before of this.#routesBefore.values()) {
      const route = this.#routeTo(before.prefix);
      if (!sameAddress(route.gateway, before.gateway)) routes.push(route);
    }
    const statuses: PeerStatusChange[] = [];
    for (const [name, before] of this.#statusBefore) {
      const status = this.#kept.get(name)?.status;
      const isNew = (status === undefined) !== (before === undefined);
      if (isNew || statusText(status) !== statusText(before)) statuses.push({ name, status });
    }
    this.#routesBefore = new Map();
    this.#statusBefore = new Map();
    return { routes, statuses };
  }
}

/** Older first; several keys of one transaction share a create revision, so the name decides then. */
function byAge(a: Lease | Malformed, b: Lease | Malformed): number {
  return a.createRevision - b.createRevision || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
}

const firstOf = ({ prefix }: Peer): First => prefix.address.value;

const aroundGateway = ({ prefix, gateway }: Peer): First =>
  prefixOf(gateway, prefix.length).address.value;

/** Of one lease: its subnets and addresses are the same objects then. */
function sameVerdict(a: PeerStatus, b: Verdict): boolean {
  if (a.kind !== 'believed' || b.kind !== 'believed')
    return a.kind === b.kind && ('reason' in a && a.reason) === ('reason' in b && b.reason);
  const same = (peer: Peer, index: number): boolean =>
    peer.prefix === b.peers[index]?.prefix && peer.gateway === b.peers[index]?.gateway;
  return a.note === b.note && a.peers.length === b.peers.length && a.peers.every(same);
}

function statusText(status: PeerStatus | undefined): string {
  if (status === undefined) return '';
  if (status.kind !== 'believed')
    return `${status.kind} ${'reason' in status ? status.reason : ''}`;
  const routes = status.peers.map(({ prefix, gateway }) => `${prefix.text} via ${gateway.text}`);
  return `believed ${routes.join()} ${status.note ?? ''}`;
}
