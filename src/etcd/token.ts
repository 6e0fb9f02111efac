/**
 * The login with user and password: one token for all calls, fetched once, fetched again when the
 * cluster no longer takes it. A refused password is not tried again at once: each try costs etcd a bcrypt.
 */
import type { Clock } from '../core/index.ts';
import type { Endpoint } from './endpoint.ts';
import { toEtcdError } from './errors.ts';
import { AUTHENTICATE } from './messages.ts';
import type { Login } from './options.ts';
import type { EtcdError } from './types.ts';

/** Milliseconds for which a refused login is not tried again. */
const REFUSED_MS = 5_000;

type State =
  | { readonly name: 'none' }
  | { readonly name: 'asking'; readonly done: Promise<void> }
  | { readonly name: 'held'; readonly token: string }
  // The cluster runs without authentication: no token is needed, and none is given.
  | { readonly name: 'not needed' }
  | { readonly name: 'refused'; readonly until: number; readonly error: EtcdError };

export class Token {
  readonly #login: Login | undefined;
  readonly #clock: Clock;
  #state: State = { name: 'none' };

  constructor(login: Login | undefined, clock: Clock) {
    this.#login = login;
    this.#clock = clock;
  }

  get value(): string | undefined {
    return this.#state.name === 'held' ? this.#state.token : undefined;
  }

  /** Sees to it that calls can be made. Rejects with EtcdError if the login fails. */
  async ensure(endpoint: Endpoint): Promise<void> {
    const login = this.#login;
    const state = this.#state;
    if (login === undefined || state.name === 'held' || state.name === 'not needed') return;
    if (state.name === 'asking') return state.done;
    if (state.name === 'refused' && this.#clock.now() < state.until) throw state.error;
    const done = this.#ask(endpoint, login);
    this.#state = { name: 'asking', done };
    return done;
  }

  /** The cluster refused `used`: true if another try with a fresh token can help. */
  drop(used: string | undefined): boolean {
    if (this.#login === undefined || this.#state.name === 'refused') return false;
    if (this.value === used && this.#state.name !== 'asking') this.#state = { name: 'none' };
    return true;
  }

  async #ask(endpoint: Endpoint, login: Login): Promise<void> {
    try {
      const { username: name, password } = login;
      this.#state = { name: 'held', token: await endpoint.call(AUTHENTICATE, { name, password }) };
    } catch (thrown) {
      const error = toEtcdError(thrown, endpoint.url);
      if (/authentication is not enabled/.test(error.message)) {
        this.#state = { name: 'not needed' };
        return;
      }
      this.#state =
        error.kind === 'authentication'
          ? { name: 'refused', until: this.#clock.now() + REFUSED_MS, error }
          : { name: 'none' };
      throw error;
    }
  }
}
