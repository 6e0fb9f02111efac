/**
 * When to look whether the firewall's rules still stand: soon after a change of it was heard, but no oftener than every so
 * often, and rarely without one. Where changes cannot be heard, every so often.
 */
import type { Cancel, Clock } from '../../core/index.ts';

/** Calls back after the firewall may have changed, until the signal aborts. Throws if it cannot be heard. */
export type Hear = (onChange: () => void, signal: AbortSignal) => void;

/** One change is many messages, and Docker's are many changes. */
const SETTLE_MS = 50;
/** A hint that never came must not leave a door open, or shut, for ever. */
const RARELY_MS = 60_000;

export interface LookoutOptions {
  readonly clock: Clock;
  /** The shortest time from one look to the next. */
  readonly everyMs: number;
  /** Default: nothing can be heard. */
  readonly hear: Hear | undefined;
  /** Looks. Resolves to whether all changes of what it looked at can be heard; must not reject. */
  readonly look: () => Promise<boolean>;
  /** Whether there is something by now whose changes cannot be heard: costs next to nothing, so it is asked often. */
  readonly glance: () => Promise<boolean>;
}

/** Looks from now on until `signal` aborts; the first time after `everyMs`, since all has just been put. */
export function keepLooking(options: LookoutOptions, signal: AbortSignal): void {
  const { clock, everyMs, look, glance } = options;
  let last = clock.now();
  let heardAt: number | undefined;
  let listens = false;
  let audible = false;
  let busy = false;
  let cancel: Cancel | undefined;

  const due = (): number => {
    if (!listens || !audible) return last + everyMs;
    if (heardAt === undefined) return last + Math.max(RARELY_MS, everyMs);
    return Math.max(heardAt + SETTLE_MS, last + everyMs);
  };
  const later = (): void => {
    cancel?.();
    if (busy || signal.aborted) return;
    cancel = clock.at(Math.min(due(), clock.now() + everyMs), () => void turn());
  };
  const turn = async (): Promise<void> => {
    busy = true;
    if (clock.now() >= due() || (await glance())) {
      // What is heard from now on may be after what is seen.
      heardAt = undefined;
      audible = await look();
      last = clock.now();
    }
    busy = false;
    later();
  };
  try {
    options.hear?.(() => {
      heardAt ??= clock.now();
      later();
    }, signal);
    listens = options.hear !== undefined;
  } catch {
    // As without: it is looked at every so often.
  }
  signal.addEventListener('abort', () => cancel?.(), { once: true });
  later();
}
