/**
 * Who answers on the link, from the states that dumps show now and then. A change is told at once; one that follows an
 * earlier one soon must have lasted first, the longer the more often it changed.
 */
import { ByNeighbour } from './byNeighbour.ts';
import type { Reachability } from './keeperTypes.ts';
import { type Neighbour, NUD } from './types.ts';

/** Three probes a second apart: an entry that is still open after that is that of nobody. */
const OPEN_MS = 4_000;
const QUIET = { firstMs: 20_000, maxMs: 300_000 };
/** A neighbour that did not change for so long is calm again. */
const CALM_MS = 600_000;

interface Track {
  told: Reachability;
  seen: Reachability;
  seenSince: number;
  /** Since when dumps show an entry without an answer. */
  openSince: number | undefined;
  /** The last outcome told that was not `unknown`. */
  firm: Reachability | undefined;
  /** How long an outcome must have lasted to be told. */
  quietMs: number;
}

export class Reach {
  readonly #tracks = new ByNeighbour<Track>();
  /** Those of which time alone may make something that is to be told. */
  readonly #waiting = new ByNeighbour<Neighbour>();

  /** Who has to be observed although nothing has changed. */
  get waiting(): readonly Neighbour[] {
    return this.#waiting.values();
  }

  forget(neighbour: Neighbour): void {
    this.#tracks.delete(neighbour);
    this.#waiting.delete(neighbour);
  }

  /** Takes the state (NUD_*) that a dump shows, undefined for no entry; returns the outcome that is to be told. */
  observe(neighbour: Neighbour, state: number | undefined, now: number): Reachability | undefined {
    const track = this.#tracks.get(neighbour) ?? newTrack(now);
    this.#tracks.set(neighbour, track);
    const outcome = follow(track, state, now);
    if (track.seen !== track.told || track.openSince !== undefined)
      this.#waiting.set(neighbour, neighbour);
    else this.#waiting.delete(neighbour);
    return outcome;
  }
}

/** Takes a state into the track; returns the outcome that is to be told. */
function follow(track: Track, state: number | undefined, now: number): Reachability | undefined {
  const seen = outcomeOf(track, state, now);
  if (seen !== track.seen) {
    if (now - track.seenSince > CALM_MS) track.quietMs = 0;
    track.seen = seen;
    track.seenSince = now;
  }
  if (seen === track.told) return undefined;
  if (seen !== 'unknown') {
    const isFlap = track.firm !== undefined && seen !== track.firm;
    if (isFlap && now - track.seenSince < track.quietMs) return undefined;
    if (isFlap) track.quietMs = Math.min(QUIET.maxMs, Math.max(QUIET.firstMs, track.quietMs * 2));
    track.firm = seen;
  }
  track.told = seen;
  return seen;
}

const newTrack = (now: number): Track => ({
  told: 'unknown',
  seen: 'unknown',
  seenSince: now,
  openSince: undefined,
  firm: undefined,
  quietMs: 0,
});

function outcomeOf(track: Track, state: number | undefined, now: number): Reachability {
  const isOpen = state === NUD.incomplete || state === NUD.none;
  track.openSince = isOpen ? (track.openSince ?? now) : undefined;
  switch (state) {
    case NUD.reachable:
      return 'reachable';
    case NUD.failed:
      return 'failed';
    case NUD.incomplete:
    case NUD.none:
      // A managed entry that failed is asked for again every 5 s: a dump may never catch it as FAILED.
      return now - (track.openSince ?? now) >= OPEN_MS ? 'failed' : track.seen;
    case NUD.stale:
    case NUD.delay:
    case NUD.probe:
      // It did answer, and is about to be asked again.
      return track.seen;
    default:
      // No entry; or PERMANENT and NOARP, which nobody ever asks.
      return 'unknown';
  }
}
