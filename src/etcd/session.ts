/**
 * One session with the cluster: one endpoint in use, sticky, left for the next on failure. Reads are tried
 * on each endpoint once around; a write is tried again only where it provably never left this host.
 */
import type { Clock, Log } from '../core/index.ts';
import { CALL_MS, Endpoint, type Shared, Unfinished } from './endpoint.ts';
import { isOfTheEndpoint, toEtcdError } from './errors.ts';
import type { Access, EndpointAddress } from './options.ts';
import { Token } from './token.ts';
import type { EtcdError } from './types.ts';

/** One thing to ask of one endpoint. */
export type Ask<T> = (endpoint: Endpoint) => Promise<T>;

export class Session {
  readonly clock: Clock;
  readonly #addresses: Access['endpoints'];
  readonly #shared: Shared;
  readonly #unfinished = new Unfinished();
  readonly #token: Token;
  readonly #log: Log;
  /** What each endpoint last failed with, by url; said once per change. */
  readonly #troubles = new Map<string, EtcdError>();
  #index = 0;
  #endpoint: Endpoint;
  #trouble: EtcdError | undefined;

  constructor(access: Access, clock: Clock, log: Log) {
    this.clock = clock;
    this.#log = log;
    this.#addresses = access.endpoints;
    this.#token = new Token(access.login, clock);
    this.#shared = {
      certificates: access.certificates,
      clock,
      unfinished: this.#unfinished,
      token: () => this.#token.value,
    };
    this.#endpoint = new Endpoint(access.endpoints[0], this.#shared);
    // While whoever opened us looks at its host, the connection is made: by the first call it is there.
    this.#endpoint.connect();
  }

  /** For what may be done twice: tried on each endpoint, at least twice, within one round of deadlines. */
  idempotent<T>(ask: Ask<T>): Promise<T> {
    return this.#try(ask, isOfTheEndpoint);
  }

  /** For a write: a failure after which it may have been done is handed back, not tried again. */
  once<T>(ask: Ask<T>): Promise<T> {
    // Refused, or failed in the handshake: no connection was there to carry it.
    return this.#try(ask, (error) => error.kind === 'refused' || error.kind === 'tls');
  }

  /** The endpoint in use, logged in: for streams. */
  async ready(): Promise<Endpoint> {
    const endpoint = this.#endpoint;
    try {
      await this.#token.ensure(endpoint);
    } catch (thrown) {
      const error = toEtcdError(thrown, endpoint.url);
      this.failed(endpoint, error);
      throw error;
    }
    return endpoint;
  }

  /** Something on `endpoint` failed: leave it if that may help, and fetch a fresh token if ours was refused. */
  failed(endpoint: Endpoint, error: EtcdError): void {
    if (this.#unfinished.closed) return;
    if (error.kind === 'authentication') {
      this.#token.drop(this.#token.value);
      this.#say(endpoint.url, error);
    }
    if (!isOfTheEndpoint(error)) return;
    this.#say(endpoint.url, error);
    if (endpoint !== this.#endpoint) return;
    endpoint.retire();
    this.#index = (this.#index + 1) % this.#addresses.length;
    const next: EndpointAddress = this.#addresses[this.#index] ?? this.#addresses[0];
    // Also with one endpoint: a new connection, since the old one may be dead without a word.
    this.#endpoint = new Endpoint(next, this.#shared);
  }

  /** `endpoint` answered. */
  answered(endpoint: Endpoint): void {
    this.#trouble = undefined;
    if (this.#troubles.delete(endpoint.url))
      this.#log.info(`etcd at ${endpoint.url} answers again`);
  }

  status(): { readonly endpoint: string; readonly trouble: string | undefined } {
    return { endpoint: this.#endpoint.url, trouble: this.#trouble?.message };
  }

  close(): void {
    this.#unfinished.endAll();
    this.#endpoint.retire();
  }

  async #try<T>(ask: Ask<T>, again: (error: EtcdError) => boolean): Promise<T> {
    const tries = Math.max(2, this.#addresses.length);
    const until = this.clock.now() + this.#addresses.length * CALL_MS;
    for (let left = tries - 1; ; left -= 1) {
      const endpoint = this.#endpoint;
      try {
        const answer = await this.#loggedIn(endpoint, ask);
        this.answered(endpoint);
        return answer;
      } catch (thrown) {
        const error = toEtcdError(thrown, endpoint.url);
        this.failed(endpoint, error);
        const closed = this.#unfinished.closed;
        if (closed || left <= 0 || !again(error) || this.clock.now() >= until) throw error;
      }
    }
  }

  /** A refused token is renewed once: the server refuses it before it looks at the request, so writes too are safe. */
  async #loggedIn<T>(endpoint: Endpoint, ask: Ask<T>): Promise<T> {
    await this.#token.ensure(endpoint);
    const used = this.#token.value;
    try {
      return await ask(endpoint);
    } catch (thrown) {
      const error = toEtcdError(thrown, endpoint.url);
      if (error.kind !== 'authentication' || !this.#token.drop(used)) throw error;
      await this.#token.ensure(endpoint);
      return ask(endpoint);
    }
  }

  #say(url: string, error: EtcdError): void {
    this.#trouble = error;
    const before = this.#troubles.get(url);
    if (before !== undefined && cureOf(before) === cureOf(error)) return;
    this.#troubles.set(url, error);
    this.#log.warn(error.message);
  }
}

/** One outage shows as a timeout, a cut or gRPC's own words in turn; only what calls for another cure is news. */
function cureOf({ kind }: EtcdError): EtcdError['kind'] {
  return kind === 'timeout' || kind === 'other' ? 'unreachable' : kind;
}
