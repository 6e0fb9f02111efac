/**
 * The log for news that may come in thousands: of each kind the first few within a window are named one by one,
 * the rest are counted and said in one line when the window ends. With -v all are named.
 */
import type { Cancel, Clock, Log } from '../core/index.ts';

const NAMED = 20;
const WINDOW_MS = 5_000;

type Level = 'info' | 'warn' | 'error';

interface Kind {
  readonly level: Level;
  readonly cancel: Cancel;
  named: number;
  more: number;
}

export class Crowd {
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #kinds = new Map<string, Kind>();

  /** When `signal` aborts, what was counted is said at once, and no timer is left. */
  constructor(log: Log, clock: Clock, signal: AbortSignal) {
    this.#log = log;
    this.#clock = clock;
    const end = (): void => {
      for (const rest of this.#kinds.keys()) this.#close(rest);
    };
    signal.addEventListener('abort', end, { once: true });
  }

  /** `rest` is what the others of this kind are counted as: `5 more ${rest}`. */
  say(level: Level, sentence: string, rest: string): void {
    const kind = this.#kinds.get(rest) ?? this.#open(level, rest);
    if (kind.named < NAMED) {
      kind.named += 1;
      this.#log[level](sentence);
    } else {
      kind.more += 1;
      this.#log.debug(sentence);
    }
  }

  #open(level: Level, rest: string): Kind {
    const cancel = this.#clock.at(this.#clock.now() + WINDOW_MS, () => this.#close(rest));
    const kind = { level, cancel, named: 0, more: 0 };
    this.#kinds.set(rest, kind);
    return kind;
  }

  #close(rest: string): void {
    const kind = this.#kinds.get(rest);
    this.#kinds.delete(rest);
    kind?.cancel();
    if (kind !== undefined && kind.more > 0) this.#log[kind.level](`${kind.more} more ${rest}`);
  }
}
