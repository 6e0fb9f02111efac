/**
 * The line between one host and a simulated etcd. Request and answer travel apart: what happens to the line on the way
 * happens to them, so an answer that is lost may be the answer of work that was done.
 */
import type { Clock, Random } from '../../src/core/index.ts';
import { EtcdError } from '../../src/etcd/index.ts';
import type { SimCluster } from './simCluster.ts';
import type { SimEtcd } from './simEtcd.ts';

const LATENCY_MS = 1;
const TIMEOUT_MS = 5_000;

export type CallName =
  | 'list'
  | 'compare'
  | 'get'
  | 'transact'
  | 'grant'
  | 'keepAlive'
  | 'revoke'
  | 'watch';

/** up: answers. refused: fails at once. silent: packets vanish, calls time out. */
export type LineState = 'up' | 'refused' | 'silent';

interface Loss {
  readonly call: CallName;
  /** late: etcd does what was asked when the caller has long given up. */
  readonly what: 'request' | 'answer' | 'late';
}

export class SimLine {
  readonly #cluster: SimCluster;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #losses: Loss[] = [];
  readonly #changed = new Set<() => void>();
  /** Ends the calls that will never be answered, before their time is over. */
  readonly #hopeless = new Set<() => void>();
  #state: LineState = 'up';
  /** A request, an answer or a part of a stream takes up to so long. */
  latencyMs = LATENCY_MS;
  /** Calls so far, by name. */
  readonly calls = new Map<CallName, number>();

  constructor(cluster: SimCluster, clock: Clock, random: Random) {
    this.#cluster = cluster;
    this.#clock = clock;
    this.#random = random;
  }

  get state(): LineState {
    return this.#state;
  }

  set(state: LineState): void {
    this.#state = state;
    this.tell();
  }

  /** Calls `changed` when the line is another; returns what ends that. */
  follow(changed: () => void): () => void {
    this.#changed.add(changed);
    return () => this.#changed.delete(changed);
  }

  tell(): void {
    for (const changed of [...this.#changed]) changed();
  }

  lose(call: CallName, what: Loss['what']): void {
    this.#losses.push({ call, what });
  }

  /** Losses that have not struck yet. */
  get waiting(): readonly Loss[] {
    return this.#losses;
  }

  /** Up and quick, and nothing is lost from now on; a new connection ends what waits on the old one in vain. */
  heal(): void {
    this.#losses.length = 0;
    for (const end of this.#hopeless) end();
    this.#hopeless.clear();
    this.latencyMs = LATENCY_MS;
    this.set('up');
  }

  call<T>(call: CallName, work: (store: SimEtcd) => T): Promise<T> {
    this.calls.set(call, (this.calls.get(call) ?? 0) + 1);
    const loss = this.#losses.find((one) => one.call === call);
    if (loss !== undefined) this.#losses.splice(this.#losses.indexOf(loss), 1);
    const sent = this.#clock.now();
    return new Promise((resolve, reject) => {
      const unanswered = (): void => {
        const refused = this.#state === 'refused';
        const error = refused
          ? new EtcdError('refused', 'etcd refuses the connection')
          : new EtcdError('timeout', 'etcd did not answer in time');
        const end = (): void => reject(error);
        this.#hopeless.add(end);
        this.later(refused ? 0 : sent + TIMEOUT_MS - this.#clock.now(), () => {
          this.#hopeless.delete(end);
          end();
        });
      };
      const done = (): (() => void) => {
        try {
          const result = work(this.#cluster.store);
          return () => resolve(result);
        } catch (error) {
          return () => reject(new EtcdError('other', reasonOf(error)));
        }
      };
      this.travel(() => {
        if (loss?.what === 'late' && this.#state === 'up')
          this.later(TIMEOUT_MS * (1 + this.#random()), done);
        if (this.#state !== 'up' || loss?.what === 'request' || loss?.what === 'late')
          return unanswered();
        const answer = done();
        this.travel(() => {
          const inTime = this.#clock.now() - sent < TIMEOUT_MS;
          if (this.#state === 'up' && loss === undefined && inTime) answer();
          else unanswered();
        });
      });
    });
  }

  /** How far of the revisions `from` to `to` a stream gets at once: a slow line brings a part, never half a revision. */
  portion(from: number, to: number): number {
    if (this.latencyMs === LATENCY_MS || from >= to) return to;
    return from + Math.floor(this.#random() * (to - from + 1));
  }

  /** One way. */
  travel(arrive: () => void): void {
    const extra = this.latencyMs - LATENCY_MS;
    this.later(LATENCY_MS + (extra === 0 ? 0 : extra * this.#random()), arrive);
  }

  later(ms: number, act: () => void): void {
    this.#clock.at(this.#clock.now() + ms, act);
  }
}

export const reasonOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);
