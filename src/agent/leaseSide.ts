/**
 * The lease side of the agent: turns the watch's feed into the network config, believed routes and our own subnet.
 * It decides nothing itself but which config counts.
 */
import type { NetworkConfig } from '../config/index.ts';
import type { Send } from '../core/index.ts';
import type { KeyValue, WatchEvent, WatchFeed } from '../etcd/index.ts';
import {
  type BookChanges,
  type ConfigState,
  fits,
  type HeldSubnet,
  type JudgeContext,
  LeaseView,
  type OwnInput,
  type OwnStatus,
  PeerBook,
  type PublicAddresses,
  type Surroundings,
  subnetsOf,
} from '../lease/index.ts';
import { configStateOf } from './configState.ts';
import { History } from './history.ts';
import type { LeaseSideEvents, LeaseSideOptions } from './leaseSideTypes.ts';
import { runOwn } from './ownSide.ts';
import type { AgentPorts } from './ports.ts';

export class LeaseSide {
  readonly #ports: AgentPorts;
  readonly #options: LeaseSideOptions;
  readonly #events: LeaseSideEvents;
  readonly #configKey: string;
  readonly #subnetsPrefix: string;
  readonly #view: LeaseView;
  readonly #book = new PeerBook();
  readonly #own: Send<OwnInput>;
  /** The text of the config key; undefined: there is none. */
  #configText: string | undefined;
  readonly #history = new History();
  /** The snapshot that is being taken in is not of the history that we knew. */
  #strange = false;
  /** The config that counts; kept while a later one is missing, invalid or without our subnet. */
  #config: NetworkConfig | undefined;
  #held: HeldSubnet | undefined;
  /**
   * Our own key: the one that the disk names, then the one that we ask for and hold. The watch shows it before any answer
   * says that it is ours, perhaps with an address that we no longer have: it is no peer's all the same.
   */
  #ours: JudgeContext['own'];
  #surroundings: Surroundings;
  #here: PublicAddresses;
  #complete = false;
  /** While a feed is taken in: what was said meanwhile. That we waited counts only if we still do at its end. */
  #unsaid: { readonly status: OwnStatus; readonly sentence: string }[] | undefined;
  readonly #warned = new Set<string>();

  constructor(
    ports: AgentPorts,
    options: LeaseSideOptions,
    events: LeaseSideEvents,
    here: PublicAddresses,
    surroundings: Surroundings,
  ) {
    this.#ports = ports;
    this.#options = options;
    this.#events = events;
    this.#surroundings = surroundings;
    this.#configKey = `${options.etcdPrefix}/config`;
    this.#subnetsPrefix = `${options.etcdPrefix}/subnets/`;
    this.#view = new LeaseView(this.#subnetsPrefix);
    this.#own = runOwn(ports, options, {
      // On disk before it is in etcd: so this comes before the watch can show the key.
      asking: (name) => this.#claim(name),
      held: (lease) => {
        this.#held = lease;
        this.#claim(lease.name);
        events.held(lease);
      },
      status: (status, sentence) => {
        // What we asked for is another's, and nothing else is free.
        if (status === 'full') this.#claim(undefined);
        if (this.#unsaid !== undefined) this.#unsaid.push({ status, sentence });
        else events.own(status, sentence);
      },
      unsaved: (reason) => events.unsaved(reason),
    });
    this.#here = here;
    this.#ours = options.state && ownOf(options.state.subnet);
  }

  get subnetsPrefix(): string {
    return this.#subnetsPrefix;
  }

  /** How many leases have which status, and the revision they are of. */
  summary(): { revision: number; leases: Record<string, number> } {
    const leases: Record<string, number> = {};
    for (const { status } of this.#book.statuses.values())
      leases[status.kind] = (leases[status.kind] ?? 0) + 1;
    return { revision: this.#view.revision, leases };
  }

  /** Starts watching etcd; everything else follows from that. */
  start(): void {
    const { etcdPrefix, signal } = this.#options;
    this.#ports.etcd.watch(`${etcdPrefix}/`, (item) => this.#feed(item), signal);
  }

  setAddresses(here: PublicAddresses): void {
    this.#here = here;
    if (this.#complete) this.#tellOwn();
  }

  setSurroundings(surroundings: Surroundings): void {
    this.#surroundings = surroundings;
    if (this.#complete) this.#tellOwn();
    this.#rejudge();
  }

  /** Not before the first complete view: until then there is nothing to decide, and nothing to say. */
  #tellOwn(): void {
    this.#own({ type: 'unusable', prefixes: this.#surroundings.unusable ?? [] });
    this.#own({ type: 'addresses', ...this.#here });
  }

  #feed(item: WatchFeed): void {
    if (item.type === 'freshness') return this.#events.freshness(item.state, item.reason);
    const said: { status: OwnStatus; sentence: string }[] = [];
    this.#unsaid = said;
    this.#take(item);
    this.#own({ type: 'view', revision: item.revision, leases: this.#view.leases });
    this.#unsaid = undefined;
    for (const one of said)
      if (one.status !== 'waiting' || one === said.at(-1))
        this.#events.own(one.status, one.sentence);
  }

  #take(item: Exclude<WatchFeed, { type: 'freshness' }>): void {
    const { revision } = item;
    if (item.type === 'snapshot') {
      this.#strange = this.#history.snapshot(revision, item.entries, this.#witnesses);
      this.#takeConfig(item.entries.find(({ key }) => key === this.#configKey));
      // The config has a say in which addresses count.
      if (!this.#complete) this.#tellOwn();
      const entries = item.entries.filter(({ key }) => key.startsWith(this.#subnetsPrefix));
      this.#complete = true;
      this.#tell(this.#book.apply(this.#view.apply({ type: 'snapshot', revision, entries })));
      this.#strange = false;
    } else {
      this.#history.changes(revision, item.events, this.#witnesses);
      for (const event of item.events) {
        const { key } = event.type === 'put' ? event.entry : event;
        if (key === this.#configKey)
          this.#takeConfig(event.type === 'put' ? event.entry : undefined);
      }
      const events = item.events.filter((event) => this.#isLease(event));
      this.#tell(this.#book.apply(this.#view.apply({ type: 'changes', revision, events })));
    }
  }

  /** The keys that tell one history of etcd from another. */
  get #witnesses(): string[] {
    return [this.#configKey, ...(this.#ours ? [this.#subnetsPrefix + this.#ours.name] : [])];
  }

  #isLease(event: WatchEvent): boolean {
    const { key } = event.type === 'put' ? event.entry : event;
    return key.startsWith(this.#subnetsPrefix);
  }

  #takeConfig(entry: KeyValue | undefined): void {
    const text = entry?.value;
    if (text !== undefined && text === this.#configText) return;
    this.#configText = text;
    const state = configStateOf(text);
    const trouble = this.#accept(state);
    this.#events.configTrouble(trouble);
    this.#own({ type: 'config', config: state });
  }

  /** Lets a config count, or says why the one before goes on to. */
  #accept(state: ConfigState): string | undefined {
    if (state.kind === 'missing')
      return this.#config && `etcd key ${this.#configKey} is gone: everything stays as it is`;
    if (state.kind === 'invalid')
      return `the network config in etcd key ${this.#configKey} is wrong: ${state.reason}`;
    if (this.#held !== undefined && !fits(state.config, this.#held))
      return `the network config in etcd key ${this.#configKey} no longer contains our subnet ${this.#held.subnet?.text ?? this.#held.name}: everything stays as it is until a restart`;
    this.#config = state.config;
    this.#events.config(state.config);
    this.#rejudge();
    return undefined;
  }

  #rejudge(): void {
    if (this.#config === undefined) return;
    const context = { config: this.#config, own: this.#ours, surroundings: this.#surroundings };
    const changes = this.#book.setContext(context);
    for (const sentence of this.#book.warnings()) {
      if (!this.#warned.has(sentence)) this.#events.warning(sentence);
      this.#warned.add(sentence);
    }
    this.#tell(changes);
  }

  #tell(changes: BookChanges): void {
    const statuses = changes.statuses.filter(({ name }) => !this.#isOwnToBe(name));
    // Without a config that counts nothing is believed, and so nothing must be taken as unwanted.
    const complete = this.#complete && this.#config !== undefined;
    // A config that was there and is gone: etcd was wiped, or somebody is about to. Nothing goes by its word.
    const suspect = this.#strange || this.#configText === undefined;
    this.#events.routes({ routes: changes.routes, statuses }, complete, suspect);
  }

  /** Before we hold a subnet, a key that has our address is no peer's: `own` speaks of it. */
  #isOwnToBe(name: string): boolean {
    const read = this.#held === undefined ? this.#view.leases.get(name) : undefined;
    if (read?.kind !== 'lease') return false;
    const { publicIp, publicIp6 } = this.#here;
    const [four, six] = [read.lease.publicIp?.text, read.lease.publicIp6?.text];
    return (
      (publicIp !== undefined && publicIp.text === four) ||
      (publicIp6 !== undefined && publicIp6.text === six)
    );
  }

  #claim(name: string | undefined): void {
    if (name === this.#ours?.name) return;
    this.#ours = name === undefined ? undefined : ownOf(name);
    this.#rejudge();
  }
}

const ownOf = (name: string): JudgeContext['own'] => ({ name, ...subnetsOf(name) });
