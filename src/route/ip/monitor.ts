/**
 * One supervised `ip monitor`: hands over its lines, and says *missed* whenever changes may have been missed: it ended,
 * complained, or was started anew. It dies with close(), and with this process where setpriv can see to that.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { type Cancel, type Clock, drive, type Random, type Send } from '../../core/index.ts';
import { RouteDriverError } from '../types.ts';
import { isListening } from './listening.ts';
import { Supervision, type SupervisionInput, type SupervisionOutput } from './supervision.ts';

export interface MonitorOptions {
  /** What runs iproute2's `ip`, with the words before it that tie its life to ours. */
  readonly command: readonly [file: string, ...args: string[]];
  /** What `ip monitor` is told to listen to, and the kernel's groups (RTMGRP_*) that it joins for that. */
  readonly subject: MonitorSubject;
  readonly clock: Clock;
  readonly random: Random;
  readonly onLines: (lines: readonly string[]) => void;
  /** Changes may have been missed; without a reason: during a pause. */
  readonly onMissed: (reason: string | undefined) => void;
}

export interface MonitorSubject {
  readonly words: readonly string[];
  readonly groups: number;
}

const ARGS = ['-N', '-o', 'monitor', 'label'];
const POLL_MS = 2;
/** After some lines the next are gathered for so long: a batch of thousands makes thousands of lines. */
const GATHER_MS = 5;

interface Opening {
  readonly resolve: () => void;
  readonly reject: (error: RouteDriverError) => void;
}

interface Running {
  readonly attempt: number;
  readonly child: ChildProcess;
  readonly lines: Lines;
  readonly exited: Promise<void>;
}

export class IpMonitor {
  readonly #options: MonitorOptions;
  readonly #stop = new AbortController();
  readonly #send: Send<SupervisionInput>;
  /** The latest one, and those that are ending. */
  readonly #running = new Set<Running>();
  #opening: Opening | undefined;

  constructor(options: MonitorOptions) {
    this.#options = options;
    const { clock, random } = options;
    const core = new Supervision(random);
    this.#send = drive(core, (output) => this.#perform(output), clock, this.#stop.signal);
  }

  /** Resolves once it listens. Rejects with RouteDriverError if it ends before that; then nothing is left running. */
  start(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#opening = { resolve, reject };
      this.#send({ type: 'open' });
    });
  }

  /** Ends it until resume(), if it listens. What has changed meanwhile is *missed*, which is said once it listens again. */
  pause(): void {
    this.#send({ type: 'pause' });
  }

  resume(): void {
    this.#send({ type: 'resume' });
  }

  async close(): Promise<void> {
    this.#stop.abort();
    const ending = [...this.#running];
    for (const running of ending) kill(running);
    await Promise.all(ending.map(({ exited }) => exited));
    this.#opening?.reject(new RouteDriverError('closed while ip monitor was starting'));
  }

  #perform(output: SupervisionOutput): void {
    switch (output.type) {
      case 'start':
        this.#run(output.attempt);
        break;
      case 'end':
        for (const running of this.#running) if (running.attempt === output.attempt) kill(running);
        break;
      case 'opened':
        this.#opening?.resolve();
        this.#opening = undefined;
        break;
      case 'refused':
        this.#opening?.reject(new RouteDriverError(output.reason));
        this.#opening = undefined;
        break;
      case 'missed':
        this.#options.onMissed(output.reason);
        break;
    }
  }

  #run(attempt: number): void {
    const { command, subject, clock, onLines, onMissed } = this.#options;
    const [file, ...before] = command;
    let said = 'it ended without a word';
    const child = spawn(file, [...before, ...ARGS, ...subject.words], {
      env: { ...process.env, LC_ALL: 'C' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const lines = new Lines(clock, onLines);
    child.stdout.setEncoding('utf8').on('data', (text: string) => lines.take(text));
    // `ip monitor` goes on after a lost event (ENOBUFS) and says so here.
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said = text.trim();
      if (!this.#stop.signal.aborted) onMissed(`ip monitor says: ${said}`);
    });
    const exited = new Promise<void>((resolve) => {
      child.on('error', (error) => {
        said = error.message;
        if (child.pid === undefined) resolve();
      });
      child.on('close', () => resolve());
    });
    const running = { attempt, child, lines, exited };
    this.#running.add(running);
    const cancelPoll = whenListening(child, subject, clock, () =>
      this.#send({ type: 'listens', attempt }),
    );
    void exited.then(() => {
      cancelPoll();
      lines.end();
      this.#running.delete(running);
      this.#send({ type: 'ended', attempt, said });
    });
  }
}

/** What it still says is not handed over. */
function kill({ child, lines }: Running): void {
  lines.end();
  child.kill('SIGKILL');
}

/** Calls `then` once it listens, unless it ends before that or this is cancelled. */
function whenListening(
  { pid }: ChildProcess,
  { groups }: MonitorSubject,
  clock: Clock,
  then: () => void,
): Cancel {
  let cancel: Cancel = () => {};
  const look = (): void => {
    if (pid === undefined) return;
    if (isListening(pid, groups)) then();
    else cancel = clock.at(clock.now() + POLL_MS, look);
  };
  cancel = clock.at(clock.now() + POLL_MS, look);
  return () => cancel();
}

/** Hands over the whole lines there are; what comes within the next moment is handed over at its end. */
class Lines {
  readonly #clock: Clock;
  readonly #onLines: (lines: readonly string[]) => void;
  #text = '';
  #ended = false;
  #cancelGather: Cancel | undefined;

  constructor(clock: Clock, onLines: (lines: readonly string[]) => void) {
    this.#clock = clock;
    this.#onLines = onLines;
  }

  take(text: string): void {
    this.#text += text;
    if (this.#cancelGather === undefined) this.#handOver();
  }

  end(): void {
    this.#ended = true;
    this.#cancelGather?.();
  }

  #handOver(): void {
    this.#cancelGather = undefined;
    const end = this.#text.lastIndexOf('\n');
    if (this.#ended || end === -1) return;
    const lines = this.#text.slice(0, end).split('\n');
    this.#text = this.#text.slice(end + 1);
    this.#cancelGather = this.#clock.at(this.#clock.now() + GATHER_MS, () => this.#handOver());
    this.#onLines(lines);
  }
}
