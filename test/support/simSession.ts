/** One host's session with a simulated etcd: the Etcd port over a SimCluster and a line, with the real watch core. */
import { type Clock, drive, type Random, type Send } from '../../src/core/index.ts';
import type {
  Etcd,
  KeyValue,
  SavedView,
  Transaction,
  TransactionResult,
  WatchEvent,
  WatchFeed,
} from '../../src/etcd/index.ts';
import { isSamePut } from '../../src/etcd/oneHistory.ts';
import { Watch } from '../../src/etcd/watch.ts';
import type { Header, WatchInput, WatchOutput, Witness } from '../../src/etcd/watchTypes.ts';
import type { SimCluster } from './simCluster.ts';
import type { SimEtcd, SimKey } from './simEtcd.ts';
import { type CallName, type LineState, reasonOf, SimLine } from './simLine.ts';

const PROGRESS_MS = 2;

/** The one stream of a watch: what it has not sent yet begins at `next`. */
interface Stream {
  readonly attempt: number;
  readonly term: number;
  next: number;
  /** dumb: it stands, and nothing comes. cut: it ends, though the line is up. */
  fault: 'dumb' | 'cut' | undefined;
}

export class SimSession implements Etcd {
  readonly line: SimLine;
  readonly #cluster: SimCluster;
  readonly #clock: Clock;
  readonly #random: Random;
  #stream: Stream | undefined;
  /** Hears of each transaction that reached etcd, with the keys that it is about as they were before. */
  onTransact:
    | ((transaction: Transaction, result: TransactionResult, before: readonly SimKey[]) => void)
    | undefined;
  /** This watch has been given a whole view of etcd. */
  complete = false;

  constructor(cluster: SimCluster, clock: Clock, random: Random) {
    this.line = new SimLine(cluster, clock, random);
    this.#cluster = cluster;
    this.#clock = clock;
    this.#random = random;
  }

  setLine(state: LineState): void {
    this.line.set(state);
  }

  /** The watch stream stands and says nothing any more, or is cut; the line may be up. */
  spoil(fault: 'dumb' | 'cut'): void {
    if (this.#stream === undefined) return;
    this.#stream.fault = fault;
    this.line.tell();
  }

  /** The watch stream stands, and has sent all that there is. */
  get upToDate(): boolean {
    const { store, term } = this.#cluster;
    const stream = this.#stream;
    return stream?.term === term && stream.next > store.revision && stream.fault === undefined;
  }

  /** Calls so far, by name. */
  get calls(): ReadonlyMap<CallName, number> {
    return this.line.calls;
  }

  /** The next call of this name gets no answer: its request is lost, its answer, or it is done far too late. */
  lose(call: CallName, what: 'request' | 'answer' | 'late'): void {
    this.line.lose(call, what);
  }

  /** Losses that have not struck yet. */
  get waiting(): SimLine['waiting'] {
    return this.line.waiting;
  }

  list(prefix: string): Promise<{ revision: number; entries: readonly KeyValue[] }> {
    return this.line.call('list', (store) => ({
      revision: store.revision,
      entries: this.#cluster.under(prefix),
    }));
  }

  get(key: string): Promise<KeyValue | undefined> {
    return this.line.call('get', (store) => store.get(key));
  }

  transact(transaction: Transaction): Promise<TransactionResult> {
    return this.line.call('transact', (store) => {
      const before = transaction.writes.flatMap(({ key }) => store.get(key) ?? []);
      const result = store.transact(transaction);
      this.onTransact?.(transaction, result, before);
      return result;
    });
  }

  grant(id: string, ttlSeconds: number): Promise<number> {
    return this.line.call('grant', (store) => store.grant(id, ttlSeconds));
  }

  keepAlive(id: string): Promise<number> {
    return this.line.call('keepAlive', (store) => store.keepAlive(id));
  }

  revoke(id: string): Promise<void> {
    return this.line.call('revoke', (store) => store.revoke(id));
  }

  watch(
    prefix: string,
    feed: (item: WatchFeed) => void,
    signal: AbortSignal,
    saved?: SavedView,
  ): void {
    this.complete = false;
    const perform = (output: WatchOutput, send: Send<WatchInput>): void => {
      switch (output.type) {
        case 'feed':
          if (output.item.type === 'snapshot') this.complete = true;
          return feed(output.item);
        case 'list':
          return this.#listed(output.attempt, prefix, send);
        case 'compare':
          return this.#compared(output, prefix, send);
        case 'open':
          this.#stream = undefined;
          return this.#open(output, prefix, send, (opened) => {
            if (signal.aborted) return;
            this.#stream = opened;
            pump();
          });
        case 'cancel':
          this.#stream = undefined;
          return;
        case 'ask':
          return this.#asked(output.what, output.attempt, send);
      }
    };
    const send = drive(new Watch(this.#random), perform, this.#clock, signal);
    const pump = (): void =>
      this.line.travel(() => {
        const stream = this.#stream;
        if (stream === undefined || signal.aborted) return;
        const outcome = this.#pump(stream, prefix, send);
        if (outcome === 'more') pump();
        if (typeof outcome === 'string') return;
        // What the stream's end makes the watch do may open the next one at once.
        if (this.#stream === stream) this.#stream = undefined;
        send(outcome);
      });
    const ends = [this.#cluster.follow(pump), this.line.follow(pump)];
    const unfollow = (): void => {
      this.#stream = undefined;
      for (const end of ends) end();
    };
    signal.addEventListener('abort', unfollow, { once: true });
    send({ type: 'start', saved });
  }

  status(): { endpoint: string; trouble: string | undefined } {
    const { state } = this.line;
    return {
      endpoint: 'simulated',
      trouble: state === 'up' ? undefined : `the line is ${state}`,
    };
  }

  async close(): Promise<void> {}

  get #header(): Header {
    return { revision: this.#cluster.store.revision, clusterId: this.#cluster.id };
  }

  /** Sends what is new on the stream; returns whether there is more, or how it ended. */
  #pump(stream: Stream, prefix: string, send: Send<WatchInput>): 'more' | 'all' | WatchInput {
    const { attempt, term, fault } = stream;
    const failed = (reason: string): WatchInput => ({ type: 'failed', attempt, reason });
    if (fault === 'cut') return failed('the stream was cut');
    if (this.line.state === 'silent') return 'all';
    if (this.line.state === 'refused') return failed('the connection was cut');
    if (term !== this.#cluster.term) return failed('the member went away');
    if (fault === 'dumb') return 'all';
    const { revision } = this.#cluster.store;
    const upTo = this.line.portion(stream.next, revision);
    const events = this.#cluster.since(stream.next, prefix).filter((e) => revisionOf(e) <= upTo);
    stream.next = upTo + 1;
    if (events.length > 0) send({ type: 'events', attempt, header: this.#header, events });
    return upTo < revision ? 'more' : 'all';
  }

  #listed(attempt: number, prefix: string, send: Send<WatchInput>): void {
    this.#request(attempt, send, 'list', () => ({
      type: 'listed',
      attempt,
      header: this.#header,
      entries: this.#cluster.under(prefix),
    }));
  }

  #compared(
    { attempt, from, witnesses, witness }: Extract<WatchOutput, { type: 'compare' }>,
    prefix: string,
    send: Send<WatchInput>,
  ): void {
    this.#request(attempt, send, 'compare', (store) => {
      if (from > this.#cluster.compacted && !this.#knows(prefix, witness))
        return { type: 'foreign', attempt };
      const all = this.#cluster.under(prefix);
      return {
        type: 'since',
        attempt,
        header: this.#header,
        changed: all.filter(({ modRevision }) => modRevision >= from),
        more: false,
        count: all.length,
        witnesses: witnesses.flatMap((key) => store.get(key) ?? []),
      };
    });
  }

  #open(
    { attempt, from, witness }: Extract<WatchOutput, { type: 'open' }>,
    prefix: string,
    send: Send<WatchInput>,
    opened: (stream: Stream) => void,
  ): void {
    const open = this.line.call('watch', () => {
      const { compacted, term } = this.#cluster;
      const foreign = from > compacted && !this.#knows(prefix, witness);
      return { header: this.#header, term, gone: from <= compacted, foreign };
    });
    open.then(
      ({ header, term, gone, foreign }) => {
        if (foreign) return send({ type: 'foreign', attempt });
        send(gone ? { type: 'compacted', attempt } : { type: 'opened', attempt, header });
        if (!gone) opened({ attempt, term, next: from, fault: undefined });
      },
      (error: unknown) => send(failure(attempt, error)),
    );
  }

  /** Whether the key was then as the witness says, and one of as many. */
  #knows(prefix: string, witness: Witness | undefined): boolean {
    if (witness === undefined) return true;
    const { key, entry, revision, clusterId, standing, count } = witness;
    if (clusterId !== this.#cluster.id) return false;
    const beside = standing && { key: standing.key, entry: standing, revision, clusterId };
    if (!this.#knows(prefix, beside)) return false;
    const last = this.#cluster.since(0, key).findLast((event) => {
      const at = event.type === 'put' ? event.entry : event;
      return at.key === key && at.modRevision <= revision;
    });
    const found = last?.type === 'put' ? last.entry : undefined;
    const counted = count === undefined || count === this.#cluster.countAt(prefix, revision);
    return counted && this.#cluster.store.revision >= revision && isSamePut(found, entry);
  }

  #asked(what: 'progress' | 'probe', attempt: number, send: Send<WatchInput>): void {
    if (what === 'probe') {
      this.#request(attempt, send, 'get', () => ({
        type: 'probed',
        attempt,
        header: this.#header,
      }));
      return;
    }
    // As etcd 3.4 may: its header runs ahead of the events that are still on their way.
    this.line.later(PROGRESS_MS, () => {
      const stream = this.#stream;
      const heard = this.line.state === 'up' && stream?.fault === undefined;
      if (heard && stream?.attempt === attempt)
        send({ type: 'progress', attempt, header: this.#header });
    });
  }

  /** A read of the watch: its answer, or that it failed, is the watch's next input. */
  #request(
    attempt: number,
    send: Send<WatchInput>,
    call: CallName,
    read: (store: SimEtcd) => WatchInput,
  ): void {
    this.line.call(call, read).then(send, (error: unknown) => send(failure(attempt, error)));
  }
}

const revisionOf = (event: WatchEvent): number =>
  event.type === 'put' ? event.entry.modRevision : event.modRevision;

const failure = (attempt: number, error: unknown): WatchInput => ({
  type: 'failed',
  attempt,
  reason: reasonOf(error),
});
