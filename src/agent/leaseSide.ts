/**
 * The lease side of the agent: turns the watch's feed into the network config, believed routes and our own subnet.
 * It decides nothing itself but which config counts.
 */
import type { Send } from '../core/index.ts';
import type { WatchEvent, WatchFeed } from '../etcd/index.ts';
import {
  type BookChanges,
  Departed,
  type DiskView,
  fits,
  type HeldSubnet,
  heldByDisk,
  type JudgeContext,
  type LeaseFeed,
  LeaseView,
  namesUs,
  type OwnInput,
  type OwnStatus,
  PeerBook,
  type PublicAddresses,
  type Surroundings,
  subnetsOf,
} from '../lease/index.ts';
import { afterSilence } from './afterSilence.ts';
import { bootText, hasLapsed, silenceText } from './diskText.ts';
import { History } from './history.ts';
import type { LeaseSideEvents, LeaseSideOptions } from './leaseSideTypes.ts';
import { CountingConfig } from './networkConfig.ts';
import { runOwn } from './ownSide.ts';
import type { AgentPorts } from './ports.ts';
import { Strays } from './strays.ts';
import { ViewSide } from './viewSide.ts';

/** So long etcd's word on our own key is waited for before the disk's counts. */
const WORD_MS = 500;

export class LeaseSide {
  readonly #ports: AgentPorts;
  readonly #options: LeaseSideOptions;
  readonly #events: LeaseSideEvents;
  readonly #configKey: string;
  readonly #subnetsPrefix: string;
  readonly #view: LeaseView;
  readonly #book = new PeerBook();
  readonly #departed = new Departed();
  readonly #strays = new Strays();
  readonly #own: Send<OwnInput>;
  readonly #config: CountingConfig;
  readonly #disk: ViewSide;
  readonly #history = new History();
  /** What is being taken in is not of the history that we knew, or takes most away at once. */
  #strange = false;
  #held: HeldSubnet | undefined;
  #status: OwnStatus = 'waiting';
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
    this.#config = new CountingConfig(this.#configKey);
    this.#disk = new ViewSide(
      ports,
      options,
      () => ({
        witnesses: this.#witnesses,
        config: this.#config.text,
        departed: this.#departed.texts,
        confirmed: this.#status === 'held' && this.#view.leases.has(this.#held?.name ?? ''),
      }),
      (reason) => events.viewUnsaved(reason),
    );
    this.#own = runOwn(ports, options, {
      // On disk before it is in etcd: so this comes before the watch can show the key.
      asking: (name) => this.#claim(name),
      held: (lease) => {
        this.#held = lease;
        this.#claim(lease.name);
        events.held(lease);
        const statuses = this.#strays.release(lease.name);
        if (statuses.length > 0) this.#tell({ routes: [], statuses });
      },
      status: (status, sentence) => {
        // What we asked for is another's, and nothing else is free.
        if (status === 'full') this.#claim(undefined);
        this.#status = status;
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
    const { etcdPrefix, disk, signal } = this.#options;
    if (disk !== undefined) this.#boot(disk);
    const saved = disk?.whole === true ? disk : undefined;
    const feed = afterSilence((item) => this.#feed(item), this.#ports.clock, signal);
    this.#ports.etcd.watch(`${etcdPrefix}/`, feed, signal, saved);
  }

  /** Saves what is not on disk yet; for the end. */
  close(): Promise<void> {
    return this.#disk.close();
  }

  /** The view on disk counts until etcd speaks: for peers at once, for our own subnet after a moment. */
  #boot(disk: DiskView): void {
    const [{ revision }, { clock }] = [disk, this.#ports];
    // Our own key may have run out by itself since then: that it is gone says nothing against etcd's history.
    const lapsed = hasLapsed(disk, this.#options.ttlSeconds, clock.wall());
    this.#history.snapshot(revision, disk.entries, lapsed ? [this.#configKey] : this.#witnesses);
    this.#departed.restore(disk.departed);
    if (this.#config.restore(disk.config)) this.#useConfig();
    const entries = disk.entries.filter(({ key }) => key.startsWith(this.#subnetsPrefix));
    this.#tell(this.#apply({ type: 'snapshot', revision, entries }));
    this.#events.stale(bootText(disk, entries.length));
    if (this.#ownByDisk !== undefined) this.#events.expected(this.#ownByDisk);
    const cancel = clock.at(clock.now() + WORD_MS, () => this.#holdByDisk(disk));
    this.#options.signal.addEventListener('abort', cancel, { once: true });
  }

  #holdByDisk(disk: DiskView): void {
    const { config } = this.#config;
    if (this.#held !== undefined || config === undefined || this.#ownByDisk === undefined) return;
    if (!this.#complete) {
      // What it waits for need not be said: it is about to be held.
      this.#unsaid = [];
      this.#own({ type: 'config', config: { kind: 'valid', config } });
      this.#tellOwn();
      this.#unsaid = undefined;
    }
    const why = this.#complete ? 'etcd does not have it' : 'etcd has not answered';
    const wall = this.#ports.clock.wall();
    const reason = silenceText(disk, this.#options.ttlSeconds, wall, why);
    this.#own({ type: 'silent', reason });
  }

  /** The subnet that the state on disk says we hold, if the config that counts contains it. */
  get #ownByDisk(): HeldSubnet | undefined {
    const own = heldByDisk(this.#options.state, undefined, this.#here);
    return own && this.#config.config && fits(this.#config.config, own) ? own : undefined;
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
    if (item.type === 'freshness') {
      this.#disk.freshness(item.state);
      return this.#events.freshness(item.state, item.reason);
    }
    const said: { status: OwnStatus; sentence: string }[] = [];
    this.#unsaid = said;
    this.#take(item);
    const [{ leases }, { subnets: departed }] = [this.#view, this.#departed];
    this.#own({ type: 'view', revision: item.revision, leases, departed });
    this.#unsaid = undefined;
    for (const one of said)
      if (one.status !== 'waiting' || one === said.at(-1))
        this.#events.own(one.status, one.sentence);
    this.#disk.take(item);
  }

  #take(item: Exclude<WatchFeed, { type: 'freshness' }>): void {
    const { revision } = item;
    if (item.type === 'snapshot') {
      const contradicted = this.#history.snapshot(revision, item.entries, this.#witnesses);
      this.#strange = contradicted || item.otherHistory !== undefined;
      this.#takeConfig(item.entries.find(({ key }) => key === this.#configKey)?.value);
      // The config has a say in which addresses count.
      if (!this.#complete) this.#tellOwn();
      const entries = item.entries.filter(({ key }) => key.startsWith(this.#subnetsPrefix));
      if (!this.#complete) this.#events.stale(undefined);
      this.#complete = true;
      this.#tell(this.#apply({ type: 'snapshot', revision, entries }));
    } else {
      this.#strange = this.#history.changes(revision, item.events, this.#witnesses);
      for (const event of item.events)
        if (keyOf(event) === this.#configKey)
          this.#takeConfig(event.type === 'put' ? event.entry.value : undefined);
      const events = item.events.filter((event) => keyOf(event).startsWith(this.#subnetsPrefix));
      this.#tell(this.#apply({ type: 'changes', revision, events }));
    }
    this.#strange = false;
  }

  #apply(feed: LeaseFeed): BookChanges {
    const changes = this.#view.apply(feed);
    this.#departed.note(changes);
    return this.#book.apply(changes);
  }

  /** The keys that tell one history of etcd from another. */
  get #witnesses(): string[] {
    return [this.#configKey, ...(this.#ours ? [this.#subnetsPrefix + this.#ours.name] : [])];
  }

  #takeConfig(text: string | undefined): void {
    const news = this.#config.take(text, this.#held);
    if (news === undefined) return;
    if (news.changed) this.#useConfig();
    this.#events.configTrouble(news.trouble);
    this.#own({ type: 'config', config: news.state });
  }

  #useConfig(): void {
    const { config } = this.#config;
    if (config === undefined) return;
    this.#events.config(config);
    this.#rejudge();
  }

  #rejudge(): void {
    const { config } = this.#config;
    if (config === undefined) return;
    const context = { config, own: this.#ours, surroundings: this.#surroundings };
    const changes = this.#book.setContext(context);
    for (const sentence of this.#book.warnings()) {
      if (!this.#warned.has(sentence)) this.#events.warning(sentence);
      this.#warned.add(sentence);
    }
    this.#tell(changes);
  }

  #tell(changes: BookChanges): void {
    const statuses = this.#strays.sift(changes.statuses, (name) => this.#mayBeOurs(name));
    // Without a config that counts nothing is believed, and so nothing must be taken as unwanted.
    const complete = this.#complete && this.#config.config !== undefined;
    // A config that was there and is gone: etcd was wiped, or somebody is about to. Nothing goes by its word.
    const suspect = this.#strange || this.#config.missing;
    this.#events.routes({ routes: changes.routes, statuses }, complete, suspect);
  }

  /** Before we hold a subnet, a key that has our address is no peer's: `own` speaks of it. */
  #mayBeOurs(name: string): boolean {
    const read = this.#held === undefined ? this.#view.leases.get(name) : undefined;
    return read?.kind === 'lease' && namesUs(read.lease, this.#here);
  }

  #claim(name: string | undefined): void {
    if (name === this.#ours?.name) return;
    this.#ours = name === undefined ? undefined : ownOf(name);
    this.#rejudge();
  }
}

const keyOf = (event: WatchEvent): string => (event.type === 'put' ? event.entry.key : event.key);

const ownOf = (name: string): JudgeContext['own'] => ({ name, ...subnetsOf(name) });
