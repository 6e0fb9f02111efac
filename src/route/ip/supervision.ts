/**
 * When one `ip monitor` is to run, and when changes may have been missed: it ended, or was started anew. Pure
 * (core/core.ts). Processes are numbered, so that what is said of an earlier one counts for nothing.
 */
import {
  type BackoffOptions,
  backoffMs,
  type Core,
  type Random,
  type TimerInput,
} from '../../core/index.ts';

export type SupervisionInput =
  | { readonly type: 'open' }
  | { readonly type: 'listens'; readonly attempt: number }
  | { readonly type: 'ended'; readonly attempt: number; readonly said: string }
  /** What comes will be asked about afterwards: it need not run. */
  | { readonly type: 'pause' }
  | { readonly type: 'resume' };

export type SupervisionOutput =
  | { readonly type: 'start'; readonly attempt: number }
  | { readonly type: 'end'; readonly attempt: number }
  /** It listens for the first time. */
  | { readonly type: 'opened' }
  /** It does not listen, and is not started again. */
  | { readonly type: 'refused'; readonly reason: string }
  /** Changes may have been missed; no reason: as was to be expected of a pause. */
  | { readonly type: 'missed'; readonly reason: string | undefined };

type After = 'open' | 'loss' | 'pause';
type State =
  | { readonly kind: 'closed' | 'paused' }
  | { readonly kind: 'starting'; readonly after: After; readonly until: number }
  | { readonly kind: 'listening'; readonly since: number }
  | { readonly kind: 'waiting'; readonly until: number };

const READY_MS_MAX = 5_000;
const BACKOFF: BackoffOptions = { firstMs: 100, maxMs: 10_000 };
/** One that has listened for so long was a good one: the next failure is a first one again. */
const GOOD_AFTER_MS = 10_000;

export class Supervision implements Core<SupervisionInput, SupervisionOutput> {
  readonly #random: Random;
  #state: State = { kind: 'closed' };
  #attempt = 0;
  #failures = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  get deadline(): number | undefined {
    return 'until' in this.#state ? this.#state.until : undefined;
  }

  handle(input: SupervisionInput | TimerInput, now: number): SupervisionOutput[] {
    const state = this.#state;
    switch (input.type) {
      case 'open':
        return state.kind === 'closed' ? this.#start('open', now) : [];
      case 'listens':
        return input.attempt === this.#attempt ? this.#listens(now) : [];
      case 'ended':
        return input.attempt === this.#attempt ? this.#ended(input.said, now) : [];
      case 'pause':
        // One that is about to listen, or is waited for, says by itself that changes may have been missed.
        if (state.kind !== 'listening') return [];
        this.#noteGood(state.since, now);
        this.#state = { kind: 'paused' };
        return [{ type: 'end', attempt: this.#attempt }];
      case 'resume':
        return state.kind === 'paused' ? this.#start('pause', now) : [];
      case 'timer':
        return this.#timer(now);
    }
  }

  #start(after: After, now: number): SupervisionOutput[] {
    this.#attempt += 1;
    this.#state = { kind: 'starting', after, until: now + READY_MS_MAX };
    return [{ type: 'start', attempt: this.#attempt }];
  }

  #listens(now: number): SupervisionOutput[] {
    const state = this.#state;
    if (state.kind !== 'starting') return [];
    this.#state = { kind: 'listening', since: now };
    if (state.after === 'open') return [{ type: 'opened' }];
    const reason = state.after === 'loss' ? 'ip monitor was started anew' : undefined;
    return [{ type: 'missed', reason }];
  }

  #ended(said: string, now: number): SupervisionOutput[] {
    const state = this.#state;
    if (state.kind === 'listening') this.#noteGood(state.since, now);
    else if (state.kind !== 'starting') return [];
    else if (state.after === 'open') {
      this.#state = { kind: 'closed' };
      return [{ type: 'refused', reason: `ip monitor does not listen: ${said}` }];
    }
    this.#failures += 1;
    this.#state = {
      kind: 'waiting',
      until: now + backoffMs(this.#failures, BACKOFF, this.#random),
    };
    // That it still does not run is no news.
    if (state.kind === 'starting' && state.after === 'loss') return [];
    return [{ type: 'missed', reason: `ip monitor ended: ${said}` }];
  }

  #timer(now: number): SupervisionOutput[] {
    const state = this.#state;
    if (!('until' in state) || now < state.until) return [];
    if (state.kind === 'waiting') return this.#start('loss', now);
    // Its end is said by itself; a second kill after as long again is harmless.
    this.#state = { ...state, until: now + READY_MS_MAX };
    return [{ type: 'end', attempt: this.#attempt }];
  }

  #noteGood(since: number, now: number): void {
    if (now - since > GOOD_AFTER_MS) this.#failures = 0;
  }
}
