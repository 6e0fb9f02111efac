/**
 * The watch core: lists, then watches from the list's revision + 1, and after any cut from the last delivered
 * event's revision + 1, never from a header's. A saved view spares the list where a read of the changes since proves it.
 * Any doubt (compaction, another cluster, a revision that went back) means list again. What it feeds is exactly the history: no event twice, none skipped without a snapshot.
 */
import { backoffMs, type Core, type Random, type TimerInput } from '../core/index.ts';
import { provenView } from './resume.ts';
import type { KeyValue, SavedView, WatchEvent, WatchFeed } from './types.ts';
import { doubtOf, growthOf, type Live, lastRevision, type State } from './watchState.ts';
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

export class Watch implements Core<WatchInput, WatchOutput> {
  readonly #times: WatchTimes;
  readonly #random: Random;
  #state: State = { name: 'idle' };
  #attempt = 0;
  /** Everything up to this revision has been fed; undefined before the first snapshot. */
  #fed: number | undefined;
  #clusterId = '0';
  /** What was saved, until it is proven or not. */
  #saved: SavedView | undefined;
  /** How many keys there are, roughly. */
  #keys = 0;
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
    if (input.type === 'since') return state.name === 'comparing' ? this.#compared(input, now) : [];
    if (input.type === 'listed') {
      return state.name === 'listing' ? this.#listed(input.header, input.entries, now) : [];
    }
    if (state.name !== 'opening' && state.name !== 'live') return [];
    if (input.type === 'compacted') {
      return this.#relist('etcd has compacted the history after our last event', now);
    }
    const doubt = this.#doubt(input.header);
    if (doubt !== undefined) return this.#relist(doubt, now);
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
    const until = now + spreadMs(saved.entries.length) * this.#random();
    this.#state = { name: 'waiting', until, next: 'begin' };
    return [];
  }

  #begin(now: number): WatchOutput[] {
    if (this.#saved === undefined) return this.#list(now);
    const { revision, witnesses } = this.#saved;
    const attempt = this.#next();
    this.#state = { name: 'comparing', attempt, until: now + this.#times.listMs };
    return [{ type: 'compare', attempt, from: revision + 1, witnesses }];
  }

  #compared(since: Since, now: number): WatchOutput[] {
    const entries = this.#saved && provenView(this.#saved, since);
    this.#saved = undefined;
    return entries === undefined ? this.#list(now) : this.#listed(since.header, entries, now);
  }

  #list(now: number): WatchOutput[] {
    const attempt = this.#next();
    this.#state = { name: 'listing', attempt, until: now + this.#times.listMs };
    return [{ type: 'list', attempt }];
  }

  #listed(header: Header, entries: readonly KeyValue[], now: number): WatchOutput[] {
    this.#fed = header.revision;
    this.#clusterId = header.clusterId;
    this.#keys = entries.length;
    const item: WatchFeed = { type: 'snapshot', ...header, entries };
    return [{ type: 'feed', item }, ...this.#open(header.revision, now)];
  }

  #open(fed: number, now: number): WatchOutput[] {
    const attempt = this.#next();
    this.#state = { name: 'opening', attempt, until: now + this.#times.openMs };
    return [{ type: 'open', attempt, from: fed + 1 }];
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
    const revision = lastRevision(events, this.#fed ?? 0);
    if (revision === undefined) return this.#relist('an event came out of order', now);
    const said = this.#heard(live, now);
    if (events.length === 0) return said;
    this.#fed = revision;
    this.#failures = 0;
    this.#keys = Math.max(0, this.#keys + growthOf(events));
    return [{ type: 'feed', item: { type: 'changes', revision, events } }, ...said];
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
    const doubt = this.#doubt(header);
    if (doubt !== undefined) return this.#relist(doubt, now);
    const said = this.#say('live', 'etcd answers');
    // The store has moved on, perhaps outside our prefix: only the stream can tell.
    if (header.revision <= (this.#fed ?? 0)) return said;
    live.owedAt ??= now + this.#patience;
    return [...said, { type: 'ask', attempt: live.attempt, what: 'progress' }];
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
    const next = state.name === 'listing' || this.#fed === undefined ? 'begin' : 'open';
    this.#state = { name: 'waiting', until: now + this.#backoff(), next };
    return this.#say('stale', reason);
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
        return state.next === 'open' && this.#fed !== undefined
          ? this.#open(this.#fed, now)
          : this.#begin(now);
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
    if (live.owedAt !== undefined && now >= live.owedAt && this.#fed !== undefined) {
      this.#patience = Math.min(this.#patience * 2, this.#times.owedMaxMs);
      const cancel: WatchOutput = { type: 'cancel', attempt: live.attempt, stalled: true };
      return [cancel, ...this.#open(this.#fed, now)];
    }
    if (live.probe !== undefined && now >= live.probe.missedAt) {
      return this.#missed('etcd did not answer a read in time', now);
    }
    if (live.probe !== undefined || now < live.probeAt) return [];
    const attempt = this.#next();
    live.probe = { attempt, missedAt: now + this.#times.probeMs };
    return [{ type: 'ask', attempt, what: 'probe' }];
  }

  #doubt(header: Header): string | undefined {
    return doubtOf(header, this.#clusterId, this.#fed ?? 0);
  }

  #say(state: 'live' | 'stale', reason: string): WatchOutput[] {
    if (this.#freshness === state) return [];
    this.#freshness = state;
    return [{ type: 'feed', item: { type: 'freshness', state, reason } }];
  }

  #quietUntil(now: number): number {
    return now + quietMs(this.#times, this.#keys);
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
