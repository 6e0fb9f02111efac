/**
 * The etcd lease alone: granted under an id of our choice, kept alive without writes. Knows no keys.
 * Our own clock running out makes it doubtful; only the server's word (TTL 0) makes it lost: a new leader
 * extends every lease, so an expiry that we computed proves nothing.
 */
import {
  type BackoffOptions,
  backoffMs,
  type Core,
  type Random,
  type TimerInput,
} from '../core/index.ts';

export type KeeperState =
  | { readonly kind: 'none' }
  | { readonly kind: 'granting'; readonly id: string; readonly reason: string | undefined }
  | { readonly kind: 'held'; readonly id: string }
  | { readonly kind: 'doubtful'; readonly id: string; readonly reason: string }
  | { readonly kind: 'lost'; readonly id: string };

export type KeeperInput =
  /** See to it that the etcd lease is there: grants it, or asks at once whether it still is. */
  | { readonly type: 'want'; readonly id: string }
  /** `ttl` in seconds, counted from when it was asked for at the earliest: also if a lease of this id was there. */
  | { readonly type: 'granted'; readonly attempt: number; readonly ttl: number }
  /** `ttl` in seconds, 0: the lease is gone. */
  | { readonly type: 'keptAlive'; readonly attempt: number; readonly ttl: number }
  | { readonly type: 'failed'; readonly attempt: number; readonly reason: string };

/** Each grant and keepAlive is answered by one input with its attempt number; late answers are dropped. */
export type KeeperOutput =
  | { readonly type: 'grant'; readonly attempt: number; readonly id: string; readonly ttl: number }
  | { readonly type: 'keepAlive'; readonly attempt: number; readonly id: string }
  /** Once per change. */
  | { readonly type: 'state'; readonly state: KeeperState };

export interface KeeperOptions {
  readonly ttlSeconds: number;
  /** Renewed at a third of the TTL, and at the latest this many milliseconds before its end. Default 0. */
  readonly renewMarginMs?: number;
  readonly retry: BackoffOptions;
  readonly random: Random;
}

type Request = {
  readonly kind: 'grant' | 'keepAlive';
  readonly attempt: number;
  readonly sentAt: number;
};

export class Keeper implements Core<KeeperInput, KeeperOutput> {
  readonly #options: KeeperOptions;
  #state: KeeperState = { kind: 'none' };
  #request: Request | undefined;
  #attempt = 0;
  #failures = 0;
  /** When the next request is due, and which; undefined: none, or one is under way. */
  #next: { readonly kind: Request['kind']; readonly at: number } | undefined;
  /** When our own clock says that the lease is over. */
  #expiresAt: number | undefined;
  /** A `want` came while a keepalive was under way: what that one says may be old. */
  #again = false;
  #out: KeeperOutput[] = [];

  constructor(options: KeeperOptions) {
    this.#options = options;
  }

  get deadline(): number | undefined {
    const expiry = this.#state.kind === 'held' ? this.#expiresAt : undefined;
    if (this.#next === undefined) return expiry;
    return expiry === undefined ? this.#next.at : Math.min(this.#next.at, expiry);
  }

  get state(): KeeperState {
    return this.#state;
  }

  handle(input: KeeperInput | TimerInput, now: number): KeeperOutput[] {
    switch (input.type) {
      case 'want':
        this.#want(input.id, now);
        break;
      case 'granted':
      case 'keptAlive':
      case 'failed':
        if (input.attempt === this.#request?.attempt) this.#answered(this.#request, input, now);
        break;
      case 'timer':
        break;
    }
    this.#due(now);
    const out = this.#out;
    this.#out = [];
    return out;
  }

  #want(id: string, now: number): void {
    const state = this.#state;
    if (state.kind === 'none' || state.kind === 'lost' || state.id !== id) {
      this.#request = undefined;
      this.#failures = 0;
      this.#expiresAt = undefined;
      this.#next = { kind: 'grant', at: now };
      this.#become({ kind: 'granting', id, reason: undefined });
    } else if (state.kind !== 'granting') {
      if (this.#request !== undefined) this.#again = true;
      else if (this.#failures === 0) this.#next = { kind: 'keepAlive', at: now };
    }
  }

  #answered(request: Request, answer: Exclude<KeeperInput, { type: 'want' }>, now: number): void {
    if (this.#state.kind === 'none' || this.#state.kind === 'lost') return;
    const { id } = this.#state;
    this.#request = undefined;
    if (answer.type === 'failed') {
      this.#failures += 1;
      this.#next = { kind: request.kind, at: now + this.#wait() };
      if (this.#state.kind === 'granting')
        this.#become({ kind: 'granting', id, reason: answer.reason });
    } else if (answer.ttl > 0) {
      this.#failures = 0;
      const ttlMs = answer.ttl * 1000;
      this.#expiresAt = request.sentAt + ttlMs;
      this.#next = {
        kind: 'keepAlive',
        at: this.#again ? now : request.sentAt + this.#renewAfter(ttlMs),
      };
      if (now < this.#expiresAt) this.#become({ kind: 'held', id });
    } else if (this.#state.kind === 'granting') {
      // It ended between the grant and its first keepalive.
      this.#failures += 1;
      this.#next = { kind: 'grant', at: now + this.#wait() };
    } else {
      this.#next = undefined;
      this.#expiresAt = undefined;
      this.#become({ kind: 'lost', id });
    }
    this.#again = false;
  }

  /** A margin as long as the lease lives must not become a loop: a hundredth of the TTL passes in any case. */
  #renewAfter(ttlMs: number): number {
    return Math.min(ttlMs / 3, Math.max(ttlMs / 100, ttlMs - (this.#options.renewMarginMs ?? 0)));
  }

  /** Backoff, but never so long that a short-lived lease runs out between two tries. */
  #wait(): number {
    const { retry, random, ttlSeconds } = this.#options;
    return Math.min(backoffMs(this.#failures, retry, random), (ttlSeconds * 1000) / 3);
  }

  #due(now: number): void {
    const state = this.#state;
    if (state.kind === 'held' && this.#expiresAt !== undefined && now >= this.#expiresAt) {
      const reason = `etcd has not confirmed etcd lease ${state.id} for as long as it lives`;
      this.#become({ kind: 'doubtful', id: state.id, reason });
    }
    if (state.kind === 'none' || state.kind === 'lost') return;
    if (this.#next === undefined || now < this.#next.at) return;
    const { kind } = this.#next;
    this.#next = undefined;
    this.#attempt += 1;
    const attempt = this.#attempt;
    this.#request = { kind, attempt, sentAt: now };
    const { id } = state;
    if (kind === 'keepAlive') this.#out.push({ type: 'keepAlive', attempt, id });
    else this.#out.push({ type: 'grant', attempt, id, ttl: this.#options.ttlSeconds });
  }

  #become(state: KeeperState): void {
    const before = this.#state;
    this.#state = state;
    if (JSON.stringify(before) !== JSON.stringify(state)) this.#out.push({ type: 'state', state });
  }
}
