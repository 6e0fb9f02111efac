/** The Etcd interface on a session: what each verb asks of an endpoint, and what may be asked twice. */
import type { Clock, Log, Random } from '../core/index.ts';
import { toEtcdError } from './errors.ts';
import { keepAliveOnce } from './keepAlive.ts';
import { listPrefix } from './list.ts';
import { LEASE_GRANT, LEASE_REVOKE, RANGE, TXN } from './messages.ts';
import { checkOptions, type EtcdOptions } from './options.ts';
import { Session } from './session.ts';
import type {
  Etcd,
  KeyValue,
  SavedView,
  Transaction,
  TransactionResult,
  WatchFeed,
} from './types.ts';
import { Watcher } from './watcher.ts';
import { toTransactionResult, toTxn } from './wire.ts';

/**
 * Opens a session and begins to connect; an etcd that is down is no error here.
 * @throws RangeError, one clear sentence, if an option is wrong: an endpoint, a certificate file, half a login.
 */
export function openEtcd(options: EtcdOptions, clock: Clock, random: Random, log: Log): Etcd {
  return new SessionEtcd(new Session(checkOptions(options), clock, log), random);
}

class SessionEtcd implements Etcd {
  readonly #session: Session;
  readonly #random: Random;
  /** Ends the watches that run, on close. */
  readonly #watches = new Set<AbortController>();
  #closed = false;

  constructor(session: Session, random: Random) {
    this.#session = session;
    this.#random = random;
  }

  async list(
    prefix: string,
  ): Promise<{ readonly revision: number; readonly entries: readonly KeyValue[] }> {
    const { header, entries } = await listPrefix(this.#session, prefix);
    return { revision: header.revision, entries };
  }

  async get(key: string): Promise<KeyValue | undefined> {
    const answer = await this.#session.idempotent((endpoint) =>
      endpoint.call(RANGE, { key: Buffer.from(key) }),
    );
    return answer.entries[0];
  }

  async transact(transaction: Transaction): Promise<TransactionResult> {
    const request = toTxn(transaction);
    return toTransactionResult(await this.#session.once((endpoint) => endpoint.call(TXN, request)));
  }

  /** Asked twice it is still one lease, because the id is ours. */
  grant(id: string, ttlSeconds: number): Promise<number> {
    return this.#session.idempotent(async (endpoint) => {
      try {
        return (await endpoint.call(LEASE_GRANT, { id, ttl: ttlSeconds })).ttl;
      } catch (thrown) {
        const error = toEtcdError(thrown, endpoint.url);
        if (!/lease already exists/.test(error.message)) throw error;
      }
      // It may be about to run out: renewed, it has the time that was asked for again.
      const left = await keepAliveOnce(endpoint, id, this.#session.clock);
      if (left > 0) return left;
      return (await endpoint.call(LEASE_GRANT, { id, ttl: ttlSeconds })).ttl;
    });
  }

  keepAlive(id: string): Promise<number> {
    return this.#session.idempotent((endpoint) => keepAliveOnce(endpoint, id, this.#session.clock));
  }

  async revoke(id: string): Promise<void> {
    await this.#session.idempotent(async (endpoint) => {
      try {
        await endpoint.call(LEASE_REVOKE, id);
      } catch (thrown) {
        const error = toEtcdError(thrown, endpoint.url);
        if (!/requested lease not found/.test(error.message)) throw error;
      }
    });
  }

  watch(
    prefix: string,
    feed: (item: WatchFeed) => void,
    signal: AbortSignal,
    saved?: SavedView,
  ): void {
    if (this.#closed || signal.aborted) return;
    const ended = new AbortController();
    this.#watches.add(ended);
    const onAbort = (): void => ended.abort();
    signal.addEventListener('abort', onAbort, { once: true });
    ended.signal.addEventListener('abort', () => {
      this.#watches.delete(ended);
      signal.removeEventListener('abort', onAbort);
    });
    new Watcher(this.#session, prefix, feed).run(this.#random, ended.signal, saved);
  }

  status(): { readonly endpoint: string; readonly trouble: string | undefined } {
    return this.#session.status();
  }

  async close(): Promise<void> {
    this.#closed = true;
    // Watches first: a stream that is left open keeps the process alive.
    for (const watch of [...this.#watches]) watch.abort();
    this.#session.close();
  }
}
