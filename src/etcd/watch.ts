/**
 * The watch core: lists, then watches from the list's revision + 1, and after any cut from the last delivered
 * event's revision + 1, never from a header's. Any doubt (compaction, another cluster, a revision that went back)
 * means list again. What it feeds is exactly the history: no event twice, none skipped without a snapshot.
 */
import { backoffMs, type Core, type Random, type TimerInput } from '../core/index.ts';
import type { KeyValue, WatchEvent, WatchFeed } from './types.ts';
import {
  type Header,
  WATCH_TIMES,
  type WatchInput,
  type WatchOutput,
  type WatchTimes,
} from './watchTypes.ts';

type Probe = { readonly attempt: number; readonly missedAt: number };

type State =
  | { readonly name: 'idle' }
  | { readonly name: 'listing'; readonly attempt: number; readonly until: number }
  | { readonly name: 'opening'; readonly attempt: number; readonly until: number }
  | Live
  | { readonly name: 'waiting'; readonly until: number; readonly next: 'list' | 'open' };

interface Live {
  readonly name: 'live';
  readonly attempt: number;
  readonly since: number;
  /** When the next probe is due, unless something is heard before. */
  probeAt: number;
  probe: Probe | undefined;
  /** When a sign of life is owed. */
  owedAt: number | undefined;
}

export class Watch implements Core<WatchInput, WatchOutput> {
  readonly #times: WatchTimes;
  readonly #random: Random;
  #state: State = { name: 'idle' };
  #attempt = 0;
  /** Everything up to this revision has been fed; undefined before the first snapshot. */
  #fed: number | undefined;
  #clusterId = '0';
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
        return this.#state.name === 'idle' ? this.#list(now) : [];
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

  #list(now: number): WatchOutput[] {
    const attempt = this.#next();
    this.#state = { name: 'listing', attempt, until: now + this.#times.listMs };
    return [{ type: 'list', attempt }];
  }

  #listed(header: Header, entries: readonly KeyValue[], now: number): WatchOutput[] {
    this.#fed = header.revision;
    this.#clusterId = header.clusterId;
    const item: WatchFeed = { type: 'snapshot', revision: header.revision, entries };
    return [{ type: 'feed', item }, ...this.#open(header.revision, now)];
  }

  #open(fed: number, now: number): WatchOutput[] {
    const attempt = this.#next();
    this.#state = { name: 'opening', attempt, until: now + this.#times.openMs };
    return [{ type: 'open', attempt, from: fed + 1 }];
  }

  #opened(attempt: number, now: number): WatchOutput[] {
    const probeAt = now + this.#times.quietMs;
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
    let revision = this.#fed ?? 0;
    const before = revision;
    for (const event of events) {
      const at = revisionOf(event);
      // Several events of one revision are one transaction; etcd sends them in one response.
      if (at < revision || at <= before) return this.#relist('an event came out of order', now);
      revision = at;
    }
    const said = this.#heard(live, now);
    if (events.length === 0) return said;
    this.#fed = revision;
    this.#failures = 0;
    return [{ type: 'feed', item: { type: 'changes', revision, events } }, ...said];
  }

  /** The stream gave a sign of life. */
  #heard(live: Live, now: number): WatchOutput[] {
    live.probeAt = now + this.#times.quietMs;
    live.probe = undefined;
    live.owedAt = undefined;
    this.#patience = this.#times.owedMs;
    return this.#say('live', 'the watch is answered');
  }

  #probed(header: Header, now: number): WatchOutput[] {
    const live = this.#state;
    if (live.name !== 'live') return [];
    live.probe = undefined;
    live.probeAt = now + this.#times.quietMs;
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
    const next = state.name === 'listing' || this.#fed === undefined ? 'list' : 'open';
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
    this.#state = { name: 'waiting', until: now + this.#backoff(), next: 'list' };
    return [...ended, ...said];
  }

  #timer(now: number): WatchOutput[] {
    const state = this.#state;
    if (state.name === 'idle' || now < (this.deadline ?? Infinity)) return [];
    switch (state.name) {
      case 'waiting':
        return state.next === 'open' && this.#fed !== undefined
          ? this.#open(this.#fed, now)
          : this.#list(now);
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

  /** Why an answer cannot come from the history that we have fed. */
  #doubt(header: Header): string | undefined {
    const { clusterId } = header;
    if (clusterId !== '0' && this.#clusterId !== '0' && clusterId !== this.#clusterId) {
      return 'another etcd cluster answers';
    }
    return header.revision < (this.#fed ?? 0) ? "etcd's revision went back" : undefined;
  }

  #say(state: 'live' | 'stale', reason: string): WatchOutput[] {
    if (this.#freshness === state) return [];
    this.#freshness = state;
    return [{ type: 'feed', item: { type: 'freshness', state, reason } }];
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

function revisionOf(event: WatchEvent): number {
  return event.type === 'put' ? event.entry.modRevision : event.modRevision;
}
