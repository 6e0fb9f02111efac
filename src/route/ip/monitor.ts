/**
 * One supervised `ip monitor`: hands over its lines, and says *lost* whenever changes may have been missed: it ended,
 * complained, or was started anew. It dies with close(), and with this process where setpriv can see to that.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { backoffMs, type Cancel, type Clock, type Random } from '../../core/index.ts';
import { RouteDriverError } from '../types.ts';
import { isListening } from './listening.ts';

export interface MonitorOptions {
  /** What runs iproute2's `ip`, with the words before it that tie its life to ours. */
  readonly command: readonly [file: string, ...args: string[]];
  readonly clock: Clock;
  readonly random: Random;
  readonly onLines: (lines: readonly string[]) => void;
  /** Changes may have been missed. */
  readonly onLost: (reason: string) => void;
}

const ARGS = ['-N', '-o', 'monitor', 'label', 'link', 'address', 'route'];
const READY_MS_MAX = 5_000;
const POLL_MS = 2;
/** After some lines the next are gathered for so long: a batch of thousands makes thousands of lines. */
const GATHER_MS = 5;
const BACKOFF = { firstMs: 100, maxMs: 10_000 };
/** A monitor that has listened for so long was a good one: the next failure is a first one again. */
const GOOD_AFTER_MS = 10_000;

export class IpMonitor {
  readonly #options: MonitorOptions;
  #child: ChildProcess | undefined;
  #exited: Promise<void> = Promise.resolve();
  #closed = false;
  /** The last that it said on stderr. */
  #said = '';
  #failures = 0;
  #cancelRestart: Cancel = () => {};
  /** Printed and not handed over. */
  #text = '';
  #gathering = false;
  #cancelGather: Cancel = () => {};

  constructor(options: MonitorOptions) {
    this.#options = options;
  }

  /** Resolves once it listens. Rejects with RouteDriverError if it ends before that; then nothing is left running. */
  async start(): Promise<void> {
    const { clock } = this.#options;
    const child = this.#spawn();
    const deadline = clock.now() + READY_MS_MAX;
    while (child.exitCode === null && child.signalCode === null) {
      if (child.pid !== undefined && isListening(child.pid)) {
        this.#superviseFrom(clock.now());
        return;
      }
      if (this.#closed || clock.now() > deadline) child.kill('SIGKILL');
      await Promise.race([this.#exited, reached(clock, clock.now() + POLL_MS)]);
      if (child.pid === undefined) break;
    }
    await this.#exited;
    throw new RouteDriverError(
      this.#closed
        ? 'closed while ip monitor was starting'
        : `ip monitor does not listen: ${this.#said}`,
    );
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#cancelRestart();
    this.#cancelGather();
    this.#child?.kill('SIGKILL');
    await this.#exited;
  }

  #spawn(): ChildProcess {
    const [file, ...before] = this.#options.command;
    this.#said = 'it ended without a word';
    const child = spawn(file, [...before, ...ARGS], {
      env: { ...process.env, LC_ALL: 'C' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    this.#cancelGather();
    this.#gathering = false;
    this.#text = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.#text += text;
      if (!this.#gathering) this.#handOver();
    });
    // `ip monitor` goes on after a lost event (ENOBUFS) and says so here.
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#said = text.trim();
      if (!this.#closed) this.#options.onLost(`ip monitor says: ${this.#said}`);
    });
    this.#exited = new Promise((resolve) => {
      child.on('error', (error) => {
        this.#said = error.message;
        if (child.pid === undefined) resolve();
      });
      child.on('close', () => resolve());
    });
    return child;
  }

  /** Hands over the whole lines there are; what comes within the next moment is handed over at its end. */
  #handOver(): void {
    this.#gathering = false;
    const end = this.#text.lastIndexOf('\n');
    if (this.#closed || end === -1) return;
    const lines = this.#text.slice(0, end).split('\n');
    this.#text = this.#text.slice(end + 1);
    this.#gathering = true;
    const { clock, onLines } = this.#options;
    this.#cancelGather = clock.at(clock.now() + GATHER_MS, () => this.#handOver());
    onLines(lines);
  }

  /** From now on its end is a loss, and it is started anew. */
  #superviseFrom(since: number): void {
    const restart = async (): Promise<void> => {
      await this.#exited;
      if (this.#closed) return;
      if (this.#options.clock.now() - since > GOOD_AFTER_MS) this.#failures = 0;
      this.#options.onLost(`ip monitor ended: ${this.#said}`);
      this.#again();
    };
    void restart();
  }

  #again(): void {
    const { clock, random, onLost } = this.#options;
    this.#failures += 1;
    const delay = backoffMs(this.#failures, BACKOFF, random);
    this.#cancelRestart = clock.at(clock.now() + delay, () => {
      if (this.#closed) return;
      this.start().then(
        () => {
          if (!this.#closed) onLost('ip monitor was started anew');
        },
        () => {
          if (!this.#closed) this.#again();
        },
      );
    });
  }
}

function reached(clock: Clock, deadline: number): Promise<void> {
  return new Promise((resolve) => {
    clock.at(deadline, resolve);
  });
}
