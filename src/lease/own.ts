/**
 * Our subnet's life: found, asked for, held, asked for again; given up only when etcd proves another owner.
 * It decides (ownPlan) from what is known now and sends one request at a time. Every write is conditional on the
 * key's absence or revision, and comes after the state that explains it is on disk.
 */
import type { Core, TimerInput } from '../core/index.ts';
import type { Prefix } from '../ip/index.ts';
import type { PublicAddresses, ReadLease } from './codec.ts';
import type { DepartedSubnets } from './departed.ts';
import type { KeeperState } from './keeper.ts';
import { Known } from './known.ts';
import { heldByDisk, heldUnder, triedUnder } from './ownership.ts';
import { type Facts, type Plan, type PutPlan, planNext } from './ownPlan.ts';
import { Contest, earliest, OnDisk, type Pending, Retry, transactionOf } from './ownRequests.ts';
import { heldText, subnetsOf, subnetsText } from './ownText.ts';
import type {
  ConfigState,
  HeldSubnet,
  OwnInput,
  OwnOptions,
  OwnOutput,
  OwnStatus,
} from './ownTypes.ts';
import { Voice } from './ownVoice.ts';
import type { OwnState } from './state.ts';
import type { Leases } from './view.ts';

export class Own implements Core<OwnInput, OwnOutput> {
  readonly #options: OwnOptions;
  #config: ConfigState = { kind: 'missing' };
  readonly #known = new Known();
  #departed: DepartedSubnets = new Map();
  #keeper: KeeperState = { kind: 'none' };
  #here: PublicAddresses = { publicIp: undefined, publicIp6: undefined };
  #unusable: readonly Prefix[] = [];
  #own: OwnState | undefined;
  #leaseId: string | undefined;
  readonly #disk: OnDisk;
  #pending: Pending | undefined;
  #attempt = 0;
  /** The key whose transaction had no answer. */
  #readBack: string | undefined;
  readonly #retry: Retry;
  readonly #contest: Contest;
  #announced: string | undefined;
  /** Our key as it was when it was last held: while a view shows the very same, there is nothing to plan. */
  #settled: ReadLease | undefined;
  /** The etcd lease that was ours until another host wrote under it. */
  #twin: string | undefined;
  /** The subnet that we held in this run and gave up. */
  #replaces: string | undefined;
  readonly #voice = new Voice();
  #out: OwnOutput[] = [];

  constructor(options: OwnOptions) {
    this.#options = options;
    this.#own = options.state;
    this.#leaseId = options.state?.etcdLease;
    this.#disk = new OnDisk(options.state);
    this.#retry = new Retry(options.retry, options.random);
    this.#contest = new Contest(options.random);
  }

  get deadline(): number | undefined {
    const at = earliest(this.#retry.deadline, this.#disk.deadline, this.#contest.deadline);
    // Whatever ends a request or a pause looks for stale answers too.
    return this.#busy ? at : earliest(at, this.#known.deadline);
  }

  get #busy(): boolean {
    return this.#pending !== undefined || this.#retry.deadline !== undefined;
  }

  handle(input: OwnInput | TimerInput, now: number): OwnOutput[] {
    this.#take(input, now);
    const ours = this.#own && this.#known.get(this.#own.subnet);
    if (input.type === 'view' && this.#settled !== undefined && ours === this.#settled) return [];
    this.#settled = undefined;
    this.#wake(now);
    if (!this.#busy) this.#proceed(now);
    const out = this.#out;
    this.#out = [];
    return out;
  }

  #wake(now: number): void {
    this.#retry.wake(now);
    this.#contest.wake(now);
    this.#disk.wake(now);
    if (this.#pending === undefined) this.#readBack ??= this.#known.stale(now);
  }

  #take(input: OwnInput | TimerInput, now: number): void {
    switch (input.type) {
      case 'config':
        this.#config = input.config;
        break;
      case 'view':
        if (input.otherHistory) this.#settled = undefined;
        this.#known.setView(input.revision, input.leases, input.otherHistory ?? false);
        this.#departed = input.departed ?? this.#departed;
        break;
      case 'keeper':
        this.#keeper = input.state;
        break;
      case 'addresses':
        this.#here = { publicIp: input.publicIp, publicIp6: input.publicIp6 };
        break;
      case 'unusable':
        this.#unusable = input.prefixes;
        break;
      case 'silent':
        this.#holdByDisk(input.reason, input.leases);
        break;
      case 'timer':
        break;
      default:
        if (input.attempt === this.#pending?.attempt) this.#answered(this.#pending, input, now);
    }
  }

  #answered(pending: Pending, answer: Extract<OwnInput, { attempt: number }>, now: number): void {
    this.#pending = undefined;
    if (answer.type === 'failed') {
      this.#failed(pending, answer.reason, now);
    } else if (pending.kind === 'persist') {
      this.#disk.saved(pending.state);
    } else if (pending.kind === 'transact' && answer.type === 'transacted') {
      this.#retry.answered(pending.transaction, answer.answer.succeeded);
      this.#voice.setTrouble(undefined);
      this.#known.tellAnswer(pending.name, pending.transaction, answer.answer, now);
    } else if (pending.kind === 'read' && answer.type === 'readBack') {
      this.#readBack = undefined;
      if (answer.entry !== undefined) this.#voice.setTrouble(undefined);
      // An absent key has no revision: any view that comes after this answer counts for more.
      this.#known.tell(pending.name, answer.entry, answer.entry?.modRevision ?? 0, now);
    }
  }

  #failed(pending: Pending, reason: string, now: number): void {
    if (pending.kind === 'persist') {
      // The disk makes a restart certain of what is ours; etcd's conditions keep everybody safe without it.
      this.#disk.failed(pending.state, now);
      return;
    }
    this.#retry.failed(now);
    if (pending.kind === 'transact') {
      this.#readBack = pending.name;
      // A put fails as well if its etcd lease is gone: let the keeper look.
      const [{ lease }] = pending.transaction.writes;
      if (lease !== '0') this.#out.push({ type: 'want', id: lease });
    }
    const trouble = `etcd did not confirm key ${pending.name}: ${reason}`;
    this.#out.push(...this.#voice.setTrouble(trouble));
  }

  #proceed(now: number): void {
    if (this.#readBack !== undefined) {
      const name = this.#readBack;
      const attempt = ++this.#attempt;
      this.#pending = { kind: 'read', attempt, name };
      this.#out.push({ type: 'read', attempt, key: this.#options.subnetsPrefix + name });
      return;
    }
    let plan = planNext(this.#facts());
    // Forgetting leads to choosing, and what is chosen is free or has our address: this ends.
    while (plan.kind === 'forget' || plan.kind === 'choose') {
      if (plan.kind === 'forget') {
        this.#forget(plan);
      } else {
        this.#say(plan.say.status, plan.say.sentence);
        this.#leaseId ??= this.#options.newLeaseId();
        const etcdLease = this.#leaseId;
        this.#own = { subnet: plan.name, held: false, etcdLease, addresses: [], rival: undefined };
      }
      plan = planNext(this.#facts());
    }
    if (!(plan.kind === 'put' && plan.contested)) this.#contest.over();
    if (plan.kind === 'hold') this.#hold(plan);
    else {
      if (plan.say !== undefined) this.#say(plan.say.status, plan.say.sentence);
      if (plan.kind === 'put') this.#put(plan, now);
      if (plan.kind === 'yield' && this.#own !== undefined) {
        this.#own = this.#yielded(this.#own, plan.rival);
        this.#persist(this.#own);
      }
    }
  }

  #forget({ newLease, say }: Extract<Plan, { kind: 'forget' }>): void {
    if (say !== undefined) {
      this.#say(say.status, say.sentence);
      this.#replaces = this.#own?.subnet;
      this.#announced = undefined;
    }
    this.#own = undefined;
    if (newLease) this.#leaseId = undefined;
  }

  /** What we write under from now on must not be what the rival writes under: else we would keep its key alive. */
  #yielded(own: OwnState, rival: string): OwnState {
    if (own.etcdLease !== rival) return { ...own, rival };
    this.#leaseId = this.#options.newLeaseId();
    this.#twin = rival;
    this.#wantKeeper(this.#leaseId);
    return { ...own, rival, etcdLease: this.#leaseId };
  }

  #facts(): Facts {
    return {
      ...this.#options,
      config: this.#config,
      leases: this.#known.leases,
      departed: this.#departed,
      here: this.#here,
      unusable: this.#unusable,
      own: this.#own,
      leaseId: this.#leaseId,
      twin: this.#twin,
      announced: this.#announced !== undefined,
      lost: this.#options.lost ?? 'wait',
    };
  }

  #hold({ reservation, here, revision }: Extract<Plan, { kind: 'hold' }>): void {
    if (this.#own === undefined) return;
    const own = heldUnder(this.#own, here, revision);
    this.#own = own;
    this.#announce({ name: own.subnet, ...subnetsOf(own.subnet), ...here, reservation });
    if (!reservation) this.#wantKeeper(own.etcdLease);
    const subnet = subnetsText(own.subnet);
    if (!reservation && this.#keeper.kind === 'doubtful')
      this.#say('doubtful', `holding subnet ${subnet}: ${this.#keeper.reason}`);
    else this.#say('held', heldText(own.subnet, reservation, this.#replaces));
    if (!this.#persist(own)) this.#settled = this.#known.get(own.subnet);
  }

  #announce(lease: HeldSubnet): void {
    const { name, reservation, publicIp, publicIp6 } = lease;
    const text = [name, reservation, publicIp?.text, publicIp6?.text].join();
    if (this.#announced === text) return;
    this.#announced = text;
    this.#out.push({ type: 'held', lease });
  }

  /** Etcd has no word on our key: the disk's counts, unless another owner is known. */
  #holdByDisk(reason: string, onDisk: Leases): void {
    const lease = heldByDisk(this.#own, this.#known.leases ?? onDisk, this.#here);
    if (lease === undefined || this.#announced !== undefined) return;
    this.#announce(lease);
    // Where etcd has spoken, its word is to be told.
    if (this.#known.leases === undefined)
      this.#say(
        'doubtful',
        `holding subnet ${subnetsText(lease.name)} as the disk says: ${reason}`,
      );
  }

  /** Puts our value on our key, once the state is on disk and the etcd lease is there. */
  #put(plan: PutPlan, now: number): void {
    if (this.#own === undefined) return;
    if (plan.contested && !this.#contest.isTurn(now)) return;
    const own = triedUnder(this.#own, plan.here, plan.condition);
    this.#own = own;
    if (this.#persist(own)) return;
    if (plan.lease !== '0' && !this.#wantKeeper(plan.lease)) {
      this.#out.push(...this.#voice.ungranted(this.#keeper));
      return;
    }
    const transaction = transactionOf(this.#options.subnetsPrefix, own.subnet, plan);
    if (this.#retry.isRefused(transaction, now)) return;
    const attempt = ++this.#attempt;
    this.#pending = { kind: 'transact', attempt, name: own.subnet, transaction };
    this.#out.push({ type: 'transact', attempt, transaction });
  }

  /** Whether the etcd lease is there; if nobody keeps it, the keeper is asked to. */
  #wantKeeper(id: string): boolean {
    const keeper = this.#keeper;
    if (keeper.kind === 'none' || keeper.kind === 'lost' || keeper.id !== id)
      this.#out.push({ type: 'want', id });
    return keeper.kind === 'held' && keeper.id === id;
  }

  /** Whether the state still has to be written first; then a write is under way. */
  #persist(state: OwnState): boolean {
    if (!this.#disk.lacks(state)) return false;
    const attempt = ++this.#attempt;
    this.#pending = { kind: 'persist', attempt, state };
    this.#out.push({ type: 'persist', attempt, state });
    return true;
  }

  #say(status: OwnStatus, what: string): void {
    this.#out.push(...this.#voice.say(status, what));
  }
}
