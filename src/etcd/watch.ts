/**
 * The watch core: lists, then watches from the list's revision + 1, and after any cut from the last delivered
 * event's revision + 1, never from a header's. A saved view spares the list where a read of the changes since proves it.
 * Any doubt (compaction, another cluster, a revision that went back, a last change that etcd does not know) means list
 * again. What it feeds is exactly the history: no event twice, none skipped without a snapshot.
 */
import { backoffMs, type Core, type Random, type TimerInput } from '../core/index.ts';
import { Fed } from './fed.ts';
import { proofOf, witnessOf } from './resume.ts';
import type { KeyValue, SavedView, WatchEvent } from './types.ts';
import type { Live, State } from './watchState.ts';
import {
  type Header,
  quietMs,
  type Since,
  spreadMs,
  WATCH_TIMES,
  type WatchInput,
  type WatchOutput,
  type WatchTimes,
} from './watchTypes.ts';

const FOREIGN = "etcd's history is another one: restored from a backup, or set up anew";

export class Watch implements Core<WatchInput, WatchOutput> {
  readonly #times: WatchTimes;
  readonly #random: Random;
  #state: State = { name: 'idle' };
  #attempt = 0;
  readonly #fed = new Fed();
  /** What was saved, until it is proven or not. */
  #saved: SavedView | undefined;
  /** Failures in a row, for the backoff. */
  #failures = 0;
  /**
   * How long a sign of life may be owed. Doubled each time that its absence proved nothing: behind a
   * grpc-proxy a request for progress is never answered, and a quiet prefix must not be reopened for ever.
   */
  #patience: number;
  #freshness: 'live' | 'stale' | undefined;

  constructor(random: Random, times: WatchTimes = WATCH_TIMES) {
    this.#times = times;
    this.#random = random;
    this.#patience = times.owedMs;
  }

  get deadline(): number | undefined {
    const state = this.#state;
    switch (state.name) {
      case 'idle':
        return undefined;
      case 'live':
        return Math.min(state.probe?.missedAt ?? state.probeAt, state.owedAt ?? Infinity);
      default:
        return state.until;
    }
  }

  handle(input: WatchInput | TimerInput, now: number): WatchOutput[] {
    switch (input.type) {
      case 'start':
        return this.#state.name === 'idle' ? this.#start(input.saved, now) : [];
      case 'timer':
        return this.#timer(now);
      case 'probed':
      case 'failed':
        if (this.#isProbe(input.attempt)) {
          return input.type === 'probed'
            ? this.#probed(input.header, now)
            : this.#missed(input.reason, now);
        }
        return input.type === 'failed' && this.#isCurrent(input.attempt)
          ? this.#failed(input.reason, now)
          : [];
      default:
        return this.#isCurrent(input.attempt) ? this.#answer(input, now) : [];
    }
  }

  #answer(
    input: Exclude<WatchInput, { type: 'start' | 'probed' | 'failed' }>,
    now: number,
  ): WatchOutput[] {
    const state = this.#state;
    if (input.type === 'foreign') return this.#foreign(FOREIGN, now);
    if (input.type === 'since') return state.name === 'comparing' ? this.#compared(input, now) : [];
    if (input.type === 'listed') {
      return state.name === 'listing' ? this.#listed(input.header, input.entries, now) : [];
    }
    if (state.name !== 'opening' && state.name !== 'live') return [];
    if (input.type === 'compacted') {
      return this.#relist('etcd has compacted the history after our last event', now);
    }
    const doubt = this.#fed.doubt(input.header);
    if (doubt !== undefined) return this.#foreign(doubt, now);
    if (input.type === 'opened')
      return state.name === 'opening' ? this.#opened(state.attempt, now) : [];
    if (state.name !== 'live') return [];
    return input.type === 'events'
      ? this.#events(state, input.events, now)
      : this.#heard(state, now);
  }

  #start(saved: SavedView | undefined, now: number): WatchOutput[] {
    if (saved === undefined) return this.#list(now);
    this.#saved = saved;
    this.#fed.recall(saved);
    const until = now + spreadMs(saved.entries.length) * this.#random();
    this.#state = { name: 'waiting', until, next: 'begin' };
    return [];
  }

  #begin(now: number): WatchOutput[] {
    if (this.#saved === undefined) return this.#list(now);
    const { revision, witnesses } = this.#saved;
    const attempt = this.#next();
    this.#state = { name: 'comparing', attempt, until: now + this.#times.listMs };
    const witness = witnessOf(this.#saved);
    return [{ type: 'compare', attempt, from: revision + 1, witnesses, witness }];
  }

  #compared(since: Since, now: number): WatchOutput[] {
    const proof = this.#saved && proofOf(this.#saved, since);
    this.#saved = undefined;
    if (proof?.kind === 'whole') return this.#listed(since.header, proof.entries, now);
    return proof?.kind === 'foreign' ? this.#foreign(proof.reason, now) : this.#list(now);
  }

  #list(now: number): WatchOutput[] {
    const attempt = this.#next();
    this.#state = { name: 'listing', attempt, until: now + this.#times.listMs };
    return [{ type: 'list', attempt }];
  }

  #listed(header: Header, entries: readonly KeyValue[], now: number): WatchOutput[] {
    const item = this.#fed.snapshot(header, entries);
    return [{ type: 'feed', item }, ...this.#open(now)];
  }

  /** From what was fed last on; where nothing could show that etcd's history is still that one, from a new list on. */
  #resume(now: number): WatchOutput[] {
    return this.#fed.witness === undefined ? this.#begin(now) : this.#open(now);
  }

  /** A witness after a list too: etcd may be wiped between the two. */
  #open(now: number): WatchOutput[] {
    const { revision = 0, witness } = this.#fed;
    const attempt = this.#next();
    this.#state = { name: 'opening', attempt, until: now + this.#times.openMs };
    return [{ type: 'open', attempt, from: revision + 1, witness }];
  }

  #opened(attempt: number, now: number): WatchOutput[] {
    const probeAt = this.#quietUntil(now);
    this.#state = {
      name: 'live',
      attempt,
      since: now,
      probeAt,
      probe: undefined,
      owedAt: undefined,
    };
    return this.#say('live', 'the watch is open');
  }

  #events(live: Live, events: readonly WatchEvent[], now: number): WatchOutput[] {
    if (events.length === 0) return this.#heard(live, now);
    const item = this.#fed.changes(events);
    if (item === undefined) return this.#relist('an event came out of order', now);
    this.#failures = 0;
    return [{ type: 'feed', item }, ...this.#heard(live, now)];
  }

  /** The stream gave a sign of life. */
  #heard(live: Live, now: number): WatchOutput[] {
    live.probeAt = this.#quietUntil(now);
    live.probe = undefined;
    live.owedAt = undefined;
    this.#patience = this.#times.owedMs;
    return this.#say('live', 'the watch is answered');
  }

  #probed(header: Header, now: number): WatchOutput[] {
    const live = this.#state;
    if (live.name !== 'live') return [];
    live.probe = undefined;
    live.probeAt = this.#quietUntil(now);
    this.#failures = 0;
    const doubt = this.#fed.doubt(header);
    if (doubt !== undefined) return this.#foreign(doubt, now);
    if (header.revision <= (this.#fed.revision ?? 0)) return this.#say('live', 'etcd answers');
    // The store has moved on, perhaps outside our prefix: only the stream can tell, and a stale view stays so until then.
    const patience = this.#freshness === 'stale' ? this.#times.owedMs : this.#patience;
    live.owedAt = Math.min(live.owedAt ?? Infinity, now + patience);
    return [{ type: 'ask', attempt: live.attempt, what: 'progress' }];
  }

  #missed(reason: string, now: number): WatchOutput[] {
    const live = this.#state;
    if (live.name !== 'live') return [];
    live.probe = undefined;
    this.#failures += 1;
    live.probeAt = now + this.#backoff();
    return this.#say('stale', reason);
  }

  #failed(reason: string, now: number): WatchOutput[] {
    const state = this.#state;
    // A watch that stood for a while has not failed, it was cut: start the backoff anew.
    const stood = state.name === 'live' && now - state.since >= this.#times.backoff.maxMs;
    this.#failures = stood ? 1 : this.#failures + 1;
    const next = state.name === 'listing' || this.#fed.revision === undefined ? 'begin' : 'open';
    this.#state = { name: 'waiting', until: now + this.#backoff(), next };
    return this.#say('stale', reason);
  }

  /** What we have is of another history: the whole new one, marked as such. */
  #foreign(reason: string, now: number): WatchOutput[] {
    this.#fed.disown(reason);
    this.#saved = undefined;
    return this.#relist(reason, now);
  }

  /** What we have may be wrong: a whole new list, after a pause if there was a list just before. */
  #relist(reason: string, now: number): WatchOutput[] {
    const state = this.#state;
    const ended: WatchOutput[] =
      state.name === 'opening' || state.name === 'live'
        ? [{ type: 'cancel', attempt: state.attempt, stalled: false }]
        : [];
    const said = this.#say('stale', reason);
    this.#failures += 1;
    if (this.#failures === 1) return [...ended, ...said, ...this.#list(now)];
    this.#state = { name: 'waiting', until: now + this.#backoff(), next: 'begin' };
    return [...ended, ...said];
  }

  #timer(now: number): WatchOutput[] {
    const state = this.#state;
    if (state.name === 'idle' || now < (this.deadline ?? Infinity)) return [];
    switch (state.name) {
      case 'waiting':
        return state.next === 'open' ? this.#resume(now) : this.#begin(now);
      case 'comparing':
        return this.#failed('what has changed in etcd did not arrive in time', now);
      case 'listing':
        return this.#failed('the list from etcd did not arrive in time', now);
      case 'opening':
        return [
          { type: 'cancel', attempt: state.attempt, stalled: true },
          ...this.#failed('the watch was not opened in time', now),
        ];
      case 'live':
        return this.#liveTimer(state, now);
    }
  }

  #liveTimer(live: Live, now: number): WatchOutput[] {
    if (live.owedAt !== undefined && now >= live.owedAt) {
      this.#patience = Math.min(this.#patience * 2, this.#times.owedMaxMs);
      const cancel: WatchOutput = { type: 'cancel', attempt: live.attempt, stalled: true };
      return [cancel, ...this.#resume(now)];
    }
    if (live.probe !== undefined && now >= live.probe.missedAt) {
      return this.#missed('etcd did not answer a read in time', now);
    }
    if (live.probe !== undefined || now < live.probeAt) return [];
    const attempt = this.#next();
    live.probe = { attempt, missedAt: now + this.#times.probeMs };
    return [{ type: 'ask', attempt, what: 'probe' }];
  }

  #say(state: 'live' | 'stale', reason: string): WatchOutput[] {
    if (this.#freshness === state) return [];
    this.#freshness = state;
    return [{ type: 'feed', item: { type: 'freshness', state, reason } }];
  }

  #quietUntil(now: number): number {
    return now + quietMs(this.#times, this.#fed.keys);
  }

  #isCurrent(attempt: number): boolean {
    return 'attempt' in this.#state && this.#state.attempt === attempt;
  }

  #isProbe(attempt: number): boolean {
    return this.#state.name === 'live' && this.#state.probe?.attempt === attempt;
  }

  #next(): number {
    this.#attempt += 1;
    return this.#attempt;
  }

  #backoff(): number {
    return backoffMs(this.#failures, this.#times.backoff, this.#random);
  }
}
