/**
 * What one listening consists of: a monitor for links and addresses, and one for routes. They are apart because `ip`
 * formats each of our own routes too, which takes a large batch half as long again: for that time the second one is
 * ended and routes count as changed afterwards, while links stay heard.
 */
import type { Clock, Log, Random } from '../../core/index.ts';
import type { DumpFilter, Hint } from '../types.ts';
import { EVERYTHING, hintOfLines } from './events.ts';
import { IpMonitor, type MonitorOptions, type MonitorSubject } from './monitor.ts';

export interface EarsOptions {
  readonly command: MonitorOptions['command'];
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly filter: DumpFilter;
  readonly onHint: (hint: Hint) => void;
}

/** RTMGRP_LINK | IPV4_IFADDR | IPV6_IFADDR. */
export const LINKS: MonitorSubject = { words: ['link', 'address'], groups: 0x1 | 0x10 | 0x100 };
/** RTMGRP_IPV4_ROUTE | IPV6_ROUTE. */
export const ROUTES: MonitorSubject = { words: ['route'], groups: 0x40 | 0x400 };

/** No link may have changed: who is told of one tries at once what has failed, for ever where a large batch fails. */
const PAUSED: Hint = { links: false, addresses: false, routes: true };

export class Ears {
  readonly #links: IpMonitor;
  readonly #routes: IpMonitor;

  constructor({ command, clock, random, log, filter, onHint }: EarsOptions) {
    const monitor = (subject: MonitorSubject): IpMonitor =>
      new IpMonitor({
        command,
        subject,
        clock,
        random,
        onLines: (lines) => {
          const hint = hintOfLines(lines, filter);
          if (hint !== undefined) onHint(hint);
        },
        onMissed: (reason) => {
          if (reason === undefined) return onHint(PAUSED);
          log.warn(`${reason}; links, addresses and routes are looked at again`);
          onHint(EVERYTHING);
        },
      });
    this.#links = monitor(LINKS);
    this.#routes = monitor(ROUTES);
  }

  /** Resolves once both listen. Rejects with RouteDriverError if one does not; then nothing is left running. */
  async start(): Promise<void> {
    const starting = [this.#links.start(), this.#routes.start()];
    try {
      await Promise.all(starting);
    } catch (error) {
      await this.close();
      await Promise.allSettled(starting);
      throw error;
    }
  }

  /** Leaves routes unheard until resume(), if they are heard. They count as changed once they are heard again. */
  pause(): void {
    this.#routes.pause();
  }

  resume(): void {
    this.#routes.resume();
  }

  async close(): Promise<void> {
    await Promise.all([this.#links.close(), this.#routes.close()]);
  }
}
