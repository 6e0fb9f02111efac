/**
 * The lease side of the agent: turns the watch's feed into the network config, believed routes and our own subnet.
 * It decides nothing itself but which config counts.
 */
import type { NetworkConfig } from '../config/index.ts';
import type { Send } from '../core/index.ts';
import type { WatchFeed } from '../etcd/index.ts';
import {
  type BookChanges,
  type DiskView,
  type HeldSubnet,
  type JudgeContext,
  type Leases,
  namesUs,
  type OwnInput,
  type OwnStatus,
  type PublicAddresses,
  type Surroundings,
  subnetsOf,
} from '../lease/index.ts';
import { afterSilence } from './afterSilence.ts';
import { bootText, hasLapsed } from './diskText.ts';
import { History } from './history.ts';
import { LeaseBook } from './leaseBook.ts';
import type { LeaseSideEvents, LeaseSideOptions } from './leaseSideTypes.ts';
import { isForgotten } from './memory.ts';
import { CountingConfig } from './networkConfig.ts';
import { OwnByDisk } from './ownByDisk.ts';
import { runOwn } from './ownSide.ts';
import type { AgentPorts } from './ports.ts';
import { ViewSide } from './viewSide.ts';

export class LeaseSide {
  readonly #ports: AgentPorts;
  readonly #options: LeaseSideOptions;
  readonly #events: LeaseSideEvents;
  readonly #configKey: string;
  readonly #subnetsPrefix: string;
  readonly #book: LeaseBook;
  readonly #own: Send<OwnInput>;
  readonly #config: CountingConfig;
  readonly #disk: ViewSide;
  readonly #byDisk: OwnByDisk;
  readonly #history = new History();
  /** What is being taken in is not of the history that we knew, or takes most away at once. */
  #strange = false;
  /** What we held before this run is not known, or not over: what the first complete view lacks may not be gone. */
  #doubtful: boolean;
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
    // Before we hold a subnet, a key that has our address is no peer's: `own` speaks of it.
    this.#book = new LeaseBook(
      this.#subnetsPrefix,
      (lease) => this.#held === undefined && namesUs(lease, this.#here),
    );
    this.#config = new CountingConfig(this.#configKey);
    this.#disk = new ViewSide(
      ports,
      options,
      () => ({
        witnesses: this.#witnesses,
        config: this.#config.text,
        departed: this.#book.departed.texts,
        own: this.#ours?.name,
        confirmed: this.#status === 'held' && this.#book.leases.has(this.#held?.name ?? ''),
      }),
      (reason) => events.viewUnsaved(reason),
    );
    this.#byDisk = new OwnByDisk(
      ports,
      options,
      () => ({
        complete: this.#complete,
        held: this.#held !== undefined,
        leases: this.#book.leases,
        config: this.#config.config,
        here: this.#here,
      }),
      {
        expected: (lease) => events.expected(lease),
        unexpected: () => events.unexpected(),
        unheld: (sentence) => events.own('waiting', sentence),
        hold: (config, reason, leases) => this.#holdByDisk(config, reason, leases),
      },
    );
    this.#own = runOwn(ports, options, {
      // On disk before it is in etcd: so this comes before the watch can show the key.
      asking: (name) => this.#claim(name),
      held: (lease) => {
        this.#held = lease;
        this.#claim(lease.name);
        events.held(lease);
        const strays = this.#book.settle(lease.name);
        if (strays !== undefined) this.#tell(strays);
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
    this.#ours = options.ours === undefined ? undefined : ownOf(options.ours);
    this.#doubtful = options.disk?.holding ?? false;
  }

  get subnetsPrefix(): string {
    return this.#subnetsPrefix;
  }

  /** How many leases have which status, and the revision they are of. */
  summary(): ReturnType<LeaseBook['summary']> {
    return this.#book.summary();
  }

  /** Starts watching etcd; everything else follows from that. */
  start(): void {
    const { etcdPrefix, disk, signal } = this.#options;
    if (disk !== undefined) this.#boot(disk);
    const saved = disk?.whole === true ? disk : undefined;
    const feed = afterSilence((...heard) => this.#feed(...heard), this.#ports.clock, signal);
    this.#ports.etcd.watch(`${etcdPrefix}/`, feed, signal, saved);
  }

  /** Routes are held from now on, or not any more. */
  hold(holding: boolean): void {
    this.#disk.hold(holding);
  }

  /** Saves what is not on disk yet; for the end. */
  close(): Promise<void> {
    return this.#disk.close();
  }

  /** The view on disk counts until etcd speaks: for peers at once, for our own subnet after a moment. */
  #boot(disk: DiskView): void {
    const { revision } = disk;
    // Our own key may have run out by itself since then: that it is gone says nothing against etcd's history.
    const lapsed = hasLapsed(disk, this.#options.ttlSeconds, this.#ports.clock.wall());
    this.#history.snapshot(revision, disk.entries, lapsed ? [this.#configKey] : this.#witnesses);
    this.#book.departed.restore(disk.departed);
    if (this.#config.restore(disk.config)) this.#useConfig();
    this.#tell(this.#book.take({ type: 'snapshot', revision, entries: disk.entries }));
    this.#events.stale(bootText(disk, this.#book.leases.size));
    this.#byDisk.start(disk);
  }

  #holdByDisk(config: NetworkConfig, reason: string, leases: Leases): void {
    if (!this.#complete) {
      // What it waits for need not be said: it is about to be held.
      this.#unsaid = [];
      this.#own({ type: 'config', config: { kind: 'valid', config } });
      this.#tellOwn();
      this.#unsaid = undefined;
    }
    this.#own({ type: 'silent', reason, leases });
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

  #feed(item: WatchFeed, gathered: boolean): void {
    if (item.type === 'freshness') {
      this.#disk.freshness(item.state);
      return this.#events.freshness(item.state, item.reason);
    }
    const said: { status: OwnStatus; sentence: string }[] = [];
    this.#unsaid = said;
    this.#take(item, gathered);
    const { leases, departed } = this.#book;
    const otherHistory = item.type === 'snapshot' && item.otherHistory !== undefined;
    const view = { revision: item.revision, leases, departed: departed.subnets, otherHistory };
    this.#own({ type: 'view', ...view });
    this.#unsaid = undefined;
    this.#byDisk.look();
    if (this.#config.config !== undefined) this.#doubtful = false;
    for (const one of said)
      if (one.status !== 'waiting' || one === said.at(-1))
        this.#events.own(one.status, one.sentence);
    this.#disk.take(item);
  }

  #take(item: Exclude<WatchFeed, { type: 'freshness' }>, gathered: boolean): void {
    const { revision } = item;
    const ours = this.#ours && this.#subnetsPrefix + this.#ours.name;
    // Our own lease ended unheard: whoever was cut off with us lost its key as well, and lives as we do.
    const unheard = this.#complete && (gathered || item.type === 'snapshot');
    const lapsed = unheard && ours !== undefined && this.#history.ends(ours, item);
    if (item.type === 'snapshot') {
      const contradicted = this.#history.snapshot(revision, item.entries, this.#witnesses);
      this.#strange = contradicted || item.otherHistory !== undefined;
      this.#takeConfig(item.entries.find(({ key }) => key === this.#configKey)?.value);
      // The config has a say in which addresses count.
      if (!this.#complete) this.#tellOwn();
      if (!this.#complete) this.#events.stale(undefined);
    } else {
      this.#strange = this.#history.changes(revision, item.events, this.#witnesses);
      for (const event of item.events) {
        const [key, value] =
          event.type === 'put' ? [event.entry.key, event.entry.value] : [event.key];
        if (key === this.#configKey) this.#takeConfig(value);
      }
    }
    this.#strange ||= lapsed;
    const changes = this.#book.take(item);
    if (!this.#complete)
      this.#doubtful ||= isForgotten(this.#options, this.#book.leases, this.#here);
    this.#complete = true;
    this.#tell(changes);
    this.#strange = false;
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
    const changes = this.#book.judge(context);
    for (const sentence of this.#book.warnings()) this.#events.warning(sentence);
    this.#tell(changes);
  }

  #tell(changes: BookChanges): void {
    // Without a config that counts nothing is believed, and so nothing must be taken as unwanted.
    const complete = this.#complete && this.#config.config !== undefined;
    // A config that was there and is gone: etcd was wiped, or somebody is about to. Nothing goes by its word.
    const suspect = this.#strange || this.#doubtful || this.#config.missing;
    this.#events.routes(changes, complete, suspect);
  }

  #claim(name: string | undefined): void {
    if (name === this.#ours?.name) return;
    this.#ours = name === undefined ? undefined : ownOf(name);
    this.#rejudge();
  }
}

const ownOf = (name: string): JudgeContext['own'] => ({ name, ...subnetsOf(name) });
