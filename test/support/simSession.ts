/**
 * One host's session with a simulated etcd: the Etcd port over a SimCluster, with the real watch core, latency, and
 * every way a connection fails. An answer that is lost may be the answer of work that was done.
 */
import { type Clock, drive, type Random, type Send } from '../../src/core/index.ts';
import {
  type Etcd,
  EtcdError,
  type KeyValue,
  type Transaction,
  type TransactionResult,
  type WatchFeed,
} from '../../src/etcd/index.ts';
import { Watch } from '../../src/etcd/watch.ts';
import type { Header, WatchInput, WatchOutput } from '../../src/etcd/watchTypes.ts';
import type { SimCluster } from './simCluster.ts';
import type { SimEtcd } from './simEtcd.ts';

const LATENCY_MS = 1;
const TIMEOUT_MS = 5_000;

export type CallName = 'list' | 'get' | 'transact' | 'grant' | 'keepAlive' | 'revoke' | 'watch';

/** up: answers. refused: fails at once. silent: packets vanish, calls time out. */
export type Line = 'up' | 'refused' | 'silent';

interface Loss {
  readonly call: CallName;
  readonly what: 'request' | 'answer';
}

/** The one stream of a watch: what it has not sent yet begins at `next`. */
interface Stream {
  readonly attempt: number;
  readonly store: SimEtcd;
  next: number;
}

export class SimSession implements Etcd {
  readonly #cluster: SimCluster;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #losses: Loss[] = [];
  readonly #lineChanged = new Set<() => void>();
  #line: Line = 'up';
  /** Calls so far, by name. */
  readonly calls = new Map<CallName, number>();

  constructor(cluster: SimCluster, clock: Clock, random: Random) {
    this.#cluster = cluster;
    this.#clock = clock;
    this.#random = random;
  }

  get line(): Line {
    return this.#line;
  }

  setLine(line: Line): void {
    this.#line = line;
    for (const changed of [...this.#lineChanged]) changed();
  }

  /** The next call of this name gets no answer; lost with its request, or after it was done. */
  lose(call: CallName, what: Loss['what']): void {
    this.#losses.push({ call, what });
  }

  /** Losses that have not struck yet. */
  get waiting(): readonly Loss[] {
    return this.#losses;
  }

  list(prefix: string): Promise<{ revision: number; entries: readonly KeyValue[] }> {
    return this.#call('list', (store) => ({
      revision: store.revision,
      entries: this.#cluster.under(prefix),
    }));
  }

  get(key: string): Promise<KeyValue | undefined> {
    return this.#call('get', (store) => store.get(key));
  }

  transact(transaction: Transaction): Promise<TransactionResult> {
    return this.#call('transact', (store) => store.transact(transaction));
  }

  grant(id: string, ttlSeconds: number): Promise<number> {
    return this.#call('grant', (store) => store.grant(id, ttlSeconds));
  }

  keepAlive(id: string): Promise<number> {
    return this.#call('keepAlive', (store) => store.keepAlive(id));
  }

  revoke(id: string): Promise<void> {
    return this.#call('revoke', (store) => store.revoke(id));
  }

  watch(prefix: string, feed: (item: WatchFeed) => void, signal: AbortSignal): void {
    let stream: Stream | undefined;
    const perform = (output: WatchOutput, send: Send<WatchInput>): void => {
      switch (output.type) {
        case 'feed':
          feed(output.item);
          return;
        case 'list':
          this.#listed(output.attempt, prefix, send);
          return;
        case 'open':
          stream = undefined;
          this.#open(output.attempt, output.from, send, (opened) => {
            stream = opened;
            pump();
          });
          return;
        case 'cancel':
          stream = undefined;
          return;
        case 'ask':
          this.#asked(output.what, output.attempt, () => stream?.attempt, send);
          return;
      }
    };
    const send = drive(new Watch(this.#random), perform, this.#clock, signal);
    const pump = (): void =>
      this.#later(LATENCY_MS, () => {
        if (stream === undefined || signal.aborted) return;
        const { attempt } = stream;
        const ended = this.#pump(stream, prefix, send);
        if (ended === undefined) return;
        // What the stream's end makes the watch do may open the next one at once.
        if (stream?.attempt === attempt) stream = undefined;
        send(ended);
      });
    const ends = [this.#cluster.follow(pump), this.#follow(pump)];
    const unfollow = (): void => {
      for (const end of ends) end();
    };
    signal.addEventListener('abort', unfollow, { once: true });
    send({ type: 'start' });
  }

  status(): { endpoint: string; trouble: string | undefined } {
    return {
      endpoint: 'simulated',
      trouble: this.#line === 'up' ? undefined : `the line is ${this.#line}`,
    };
  }

  async close(): Promise<void> {}

  get #header(): Header {
    return { revision: this.#cluster.store.revision, clusterId: this.#cluster.id };
  }

  #follow(changed: () => void): () => void {
    this.#lineChanged.add(changed);
    return () => this.#lineChanged.delete(changed);
  }

  /** Sends what is new on the stream; returns how it ended, if it did. */
  #pump(stream: Stream, prefix: string, send: Send<WatchInput>): WatchInput | undefined {
    const { attempt, store } = stream;
    const failed = (reason: string): WatchInput => ({ type: 'failed', attempt, reason });
    if (this.#line === 'silent') return undefined;
    if (this.#line === 'refused') return failed('the connection was cut');
    if (store !== this.#cluster.store) return failed('the member went away');
    const events = this.#cluster.since(stream.next, prefix);
    stream.next = store.revision + 1;
    if (events.length > 0) send({ type: 'events', attempt, header: this.#header, events });
    return undefined;
  }

  #listed(attempt: number, prefix: string, send: Send<WatchInput>): void {
    const list = this.#call('list', () => ({
      header: this.#header,
      entries: this.#cluster.under(prefix),
    }));
    list.then(
      (answer) => send({ type: 'listed', attempt, ...answer }),
      (error: unknown) => send(failure(attempt, error)),
    );
  }

  #open(
    attempt: number,
    from: number,
    send: Send<WatchInput>,
    opened: (stream: Stream) => void,
  ): void {
    const open = this.#call('watch', (store) => {
      const { compacted } = this.#cluster;
      return { header: this.#header, store, gone: from <= compacted };
    });
    open.then(
      ({ header, store, gone }) => {
        send(gone ? { type: 'compacted', attempt } : { type: 'opened', attempt, header });
        if (!gone) opened({ attempt, store, next: from });
      },
      (error: unknown) => send(failure(attempt, error)),
    );
  }

  #asked(
    what: 'progress' | 'probe',
    attempt: number,
    streaming: () => number | undefined,
    send: Send<WatchInput>,
  ): void {
    if (what === 'probe') {
      this.#call('get', () => this.#header).then(
        (header) => send({ type: 'probed', attempt, header }),
        (error: unknown) => send(failure(attempt, error)),
      );
      return;
    }
    this.#later(2 * LATENCY_MS, () => {
      if (this.#line === 'up' && streaming() === attempt)
        send({ type: 'progress', attempt, header: this.#header });
    });
  }

  /** Request and answer travel apart: what happens to the line on the way happens to them. */
  #call<T>(call: CallName, work: (store: SimEtcd) => T): Promise<T> {
    this.calls.set(call, (this.calls.get(call) ?? 0) + 1);
    const loss = this.#losses.find((one) => one.call === call);
    if (loss !== undefined) this.#losses.splice(this.#losses.indexOf(loss), 1);
    const sent = this.#clock.now();
    return new Promise((resolve, reject) => {
      const unanswered = (): void => {
        const refused = this.#line === 'refused';
        const error = refused
          ? new EtcdError('refused', 'etcd refuses the connection')
          : new EtcdError('timeout', 'etcd did not answer in time');
        this.#later(refused ? 0 : sent + TIMEOUT_MS - this.#clock.now(), () => reject(error));
      };
      this.#later(LATENCY_MS, () => {
        if (this.#line !== 'up' || loss?.what === 'request') {
          unanswered();
          return;
        }
        let answer: () => void;
        try {
          const result = work(this.#cluster.store);
          answer = () => resolve(result);
        } catch (error) {
          answer = () => reject(new EtcdError('other', reasonOf(error)));
        }
        this.#later(LATENCY_MS, () => {
          if (this.#line === 'up' && loss === undefined) answer();
          else unanswered();
        });
      });
    });
  }

  #later(ms: number, act: () => void): void {
    this.#clock.at(this.#clock.now() + ms, act);
  }
}

const reasonOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);

const failure = (attempt: number, error: unknown): WatchInput => ({
  type: 'failed',
  attempt,
  reason: reasonOf(error),
});
