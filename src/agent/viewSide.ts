/**
 * Keeps the view on disk as fresh as it needs to be: what changed is written some time later, at most every half minute,
 * and at the end; never while a change is on its way to the kernel. Where nothing changes it is written a few times
 * in a lease's lifetime, so that it says when etcd last had our own key. While routes are held it stays the view from
 * before, marked as such, so that the next life holds them too.
 */
import { type Cancel, sentenceOf } from '../core/index.ts';
import type { WatchFeed } from '../etcd/index.ts';
import { type DiskView, ViewRecord } from '../lease/index.ts';
import type { AgentPorts } from './ports.ts';

/** After a change, and between two writes. */
const SOON_MS = 1_000;
const EVERY_MS = 30_000;
/** Hosts that heard of one change do not all write at one moment: they may share a disk. */
const JITTER_MS = 5_000;
/** So many times in a lease's lifetime. */
const TIMES_PER_TTL = 4;
/** A disk that does not answer must not hold up the end. */
const CLOSE_MS = 500;

/** What the view says besides its keys, at the moment of writing. */
export interface ViewContext {
  readonly witnesses: readonly string[];
  readonly config: string | undefined;
  readonly departed: readonly string[];
  /** Etcd has our own key. */
  readonly confirmed: boolean;
  /** Name of our own key. */
  readonly own: string | undefined;
}

export interface ViewSideOptions {
  readonly etcdPrefix: string;
  readonly ttlSeconds: number;
  readonly signal: AbortSignal;
  /** What was on disk at the start. */
  readonly disk: DiskView | undefined;
}

export class ViewSide {
  readonly #ports: Pick<AgentPorts, 'clock' | 'random' | 'host'>;
  readonly #options: ViewSideOptions;
  readonly #context: () => ViewContext;
  readonly #unsaved: (reason: string | undefined) => void;
  readonly #record: ViewRecord;
  #confirmedAt: number | undefined;
  #live = false;
  /** The record says more than the disk. */
  #changed = false;
  #holding = false;
  /** A hold, or its end, is not on disk: after a crash the disk's word counts. */
  #urgent = false;
  /** What is on disk. */
  #onDisk: DiskView | undefined;
  /** Monotonic ms of the last write; before the first, of the start. */
  #wroteAt: number;
  #writing: Promise<void> | undefined;
  #cancel: Cancel | undefined;

  /** `unsaved` hears why the view could not be written; undefined: it was. */
  constructor(
    ports: Pick<AgentPorts, 'clock' | 'random' | 'host'>,
    options: ViewSideOptions,
    context: () => ViewContext,
    unsaved: (reason: string | undefined) => void,
  ) {
    this.#ports = ports;
    this.#options = options;
    this.#context = context;
    this.#unsaved = unsaved;
    this.#onDisk = options.disk;
    this.#record = new ViewRecord(`${options.etcdPrefix}/config`);
    this.#confirmedAt = options.disk?.confirmedAt;
    this.#wroteAt = ports.clock.now() - EVERY_MS;
    options.signal.addEventListener('abort', () => this.#cancel?.(), { once: true });
  }

  take(item: Exclude<WatchFeed, { type: 'freshness' }>): void {
    const first = this.#record.revision === 0;
    this.#record.take(item);
    // A view that was resumed and found unchanged is on disk already.
    const { disk } = this.#options;
    const same =
      first && item.type === 'snapshot' && item.revision === disk?.revision && !disk.holding;
    // What was changed before has its time already: a storm of changes must not put it off.
    const planned = this.#changed && this.#cancel !== undefined;
    if (!same) this.#changed = true;
    if (!planned && (first || this.#changed)) this.#plan();
  }

  freshness(state: 'live' | 'stale'): void {
    this.#confirm();
    this.#live = state === 'live';
  }

  /** Routes are held from now on, or not any more. */
  hold(holding: boolean): void {
    if (holding === this.#holding) return;
    this.#holding = holding;
    this.#changed = true;
    this.#urgent = true;
    this.#plan();
  }

  /** Writes what is not on disk yet. Resolves when that is done, failed, or takes too long. */
  async close(): Promise<void> {
    const { clock } = this.#ports;
    let cancel: Cancel | undefined;
    const late = new Promise<void>((resolve) => {
      cancel = clock.at(clock.now() + CLOSE_MS, resolve);
    });
    await Promise.race([this.#writing?.then(() => this.#write()) ?? this.#write(), late]);
    cancel?.();
  }

  /** Etcd's word on our key holds until now. */
  #confirm(): void {
    if (this.#live && this.#context().confirmed) this.#confirmedAt = this.#ports.clock.wall();
  }

  /** Without a live view there is nothing to say that the disk does not; without a config nobody could judge it. */
  get #useful(): boolean {
    return this.#record.revision !== 0 && this.#context().config !== undefined;
  }

  #plan(): void {
    const { clock, random } = this.#ports;
    const { ttlSeconds, signal } = this.#options;
    if (signal.aborted || this.#writing !== undefined || !this.#useful) return;
    this.#cancel?.();
    const now = clock.now();
    const idleMs = Math.max(EVERY_MS, (ttlSeconds * 1_000) / TIMES_PER_TTL);
    const earliest = this.#urgent ? now : this.#wroteAt + EVERY_MS;
    const due = this.#changed
      ? Math.max(now + SOON_MS, earliest)
      : Math.max(now, this.#wroteAt) + idleMs;
    this.#cancel = clock.at(due + JITTER_MS * random(), () => {
      this.#cancel = undefined;
      if (this.#changed || this.#live) void this.#write();
      else this.#plan();
    });
  }

  async #write(): Promise<void> {
    if (!this.#useful) return;
    this.#confirm();
    const { own, config, departed } = this.#context();
    const keys = this.#holding && this.#onDisk ? this.#onDisk : this.#keys();
    const now = { own, config, departed, confirmedAt: this.#confirmedAt, holding: this.#holding };
    const view: DiskView = { ...keys, ...now };
    this.#changed = false;
    this.#urgent = false;
    this.#writing = this.#ports.host.saveView(view).then(
      () => {
        this.#onDisk = view;
        this.#unsaved(undefined);
      },
      (error: unknown) => {
        this.#changed = true;
        this.#unsaved(sentenceOf(error));
      },
    );
    await this.#writing;
    this.#writing = undefined;
    this.#wroteAt = this.#ports.clock.now();
    this.#plan();
  }

  /** What etcd has. */
  #keys(): Pick<
    DiskView,
    'etcdPrefix' | 'clusterId' | 'revision' | 'whole' | 'witnesses' | 'entries'
  > {
    const { revision, clusterId, whole, entries, newest } = this.#record;
    const { witnesses } = this.#context();
    return {
      ...{ etcdPrefix: this.#options.etcdPrefix, clusterId, revision, whole },
      // The newest key is the one that another history is least likely to have just so.
      witnesses: newest === undefined ? witnesses : [...new Set([...witnesses, newest])],
      entries: [...entries.values()],
    };
  }
}
