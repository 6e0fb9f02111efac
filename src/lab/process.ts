/**
 * A long-lived program in the lab: its lines are kept with the time they came, can be waited for,
 * and its signals reach the program itself rather than the nsenter in front of it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

export interface Line {
  /** Monotonic milliseconds (performance.now) at which the line arrived. */
  readonly at: number;
  readonly text: string;
}

/** How a program ended: its exit status, or the signal that killed it. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface SpawnOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** What is started (nsenter, unshare) forks, and the program is its only child. */
  readonly forks?: boolean;
}

type Waiter = (line: Line | undefined) => void;

export class LabProcess {
  /** For messages: what this program is, as in `agent on docker1`. */
  readonly name: string;
  readonly lines: Line[] = [];
  /** Settles when the program has ended and all its lines have been read; never rejects. */
  readonly exited: Promise<Exit>;
  exit: Exit | undefined;
  #child: ChildProcess;
  #forks: boolean;
  #waiters = new Set<Waiter>();
  #listeners: ((text: string) => void)[] = [];
  #startError: string | undefined;

  constructor(name: string, command: readonly string[], options: SpawnOptions = {}) {
    const [file = '', ...args] = command;
    this.name = name;
    this.#forks = options.forks ?? false;
    // Detached: Ctrl-C on the terminal goes to the lab's owner alone, which then ends the lab in order.
    this.#child = spawn(file, args, {
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...plainEnvironment(), ...options.env },
    });
    this.#collect(this.#child.stdout);
    this.#collect(this.#child.stderr);
    this.exited = new Promise((resolve) => {
      const done = (exit: Exit): void => {
        this.exit ??= exit;
        for (const waiter of [...this.#waiters]) waiter(undefined);
        resolve(this.exit);
      };
      this.#child.on('error', (error) => {
        this.#startError = error.message;
        done({ code: null, signal: null });
      });
      this.#child.on('close', (code, signal) => done({ code, signal }));
    });
  }

  /** The program's own pid, seen from outside the lab; undefined before nsenter has forked and after the end. */
  get pid(): number | undefined {
    const pid = this.#child.pid;
    if (pid === undefined || this.exit !== undefined) return undefined;
    return this.#forks ? childOf(pid) : pid;
  }

  /** Sends a signal to the program; false if it has ended. */
  kill(signal: NodeJS.Signals): boolean {
    const pid = this.pid;
    if (pid === undefined) return false;
    try {
      // nsenter stops itself when its child is stopped, and would then neither reap it nor end.
      if (signal === 'SIGCONT') this.#child.kill(signal);
      return process.kill(pid, signal);
    } catch {
      return false;
    }
  }

  /**
   * The first line, from line number `from` on, that matches; waits for it. Rejects with what the
   * program said last if it ends first or the deadline passes.
   */
  waitFor(pattern: string | RegExp, timeoutMs = 30_000, from = 0): Promise<Line> {
    const matches = (text: string): boolean =>
      typeof pattern === 'string' ? text.includes(pattern) : pattern.test(text);
    const known = this.lines.slice(from).find((line) => matches(line.text));
    if (known) return Promise.resolve(known);
    return new Promise((resolve, reject) => {
      const fail = (why: string): void => {
        settle();
        reject(new Error(`${this.name} ${why} without saying ${pattern}; ${this.lastWords()}`));
      };
      const waiter: Waiter = (line) => {
        if (line === undefined) return fail('ended');
        if (!matches(line.text)) return;
        settle();
        resolve(line);
      };
      const timer = setTimeout(() => fail(`went on for ${timeoutMs} ms`), timeoutMs);
      const settle = (): void => {
        clearTimeout(timer);
        this.#waiters.delete(waiter);
      };
      if (this.exit !== undefined) return fail('ended');
      this.#waiters.add(waiter);
    });
  }

  /** Waits until `count` lines have matched, each within the deadline. */
  async waitForAll(pattern: string | RegExp, count: number, timeoutMs = 30_000): Promise<void> {
    let from = 0;
    for (let n = 0; n < count; n++) {
      from = this.lines.indexOf(await this.waitFor(pattern, timeoutMs, from)) + 1;
    }
  }

  /** Calls `listener` for every line from now on. */
  onLine(listener: (text: string) => void): void {
    this.#listeners.push(listener);
  }

  /** The end of its output, for error messages. */
  lastWords(): string {
    if (this.#startError !== undefined) return `it could not be started: ${this.#startError}`;
    if (this.lines.length === 0) return 'it said nothing';
    const tail = this.lines.slice(-8).map((line) => line.text);
    return `its last lines were:\n  ${tail.join('\n  ')}`;
  }

  #collect(stream: NodeJS.ReadableStream | null): void {
    let rest = '';
    stream?.setEncoding('utf8');
    stream?.on('data', (chunk: string) => {
      const parts = (rest + chunk).split('\n');
      rest = parts.pop() ?? '';
      for (const part of parts) this.#line(part);
    });
    stream?.on('end', () => {
      if (rest !== '') this.#line(rest);
    });
  }

  #line(text: string): void {
    const line = { at: performance.now(), text };
    this.lines.push(line);
    for (const waiter of [...this.#waiters]) waiter(line);
    for (const listener of this.#listeners) listener(text);
  }
}

/** Our environment without what would configure an agent, an engine or a log behind the lab's back. */
function plainEnvironment(): Record<string, string> {
  const foreign = /^(FLANNELD_|DOCKER_|ETCDCTL_|ETCD_|NOTIFY_SOCKET$|JOURNAL_STREAM$|WATCHDOG_)/;
  return Object.fromEntries(
    Object.entries(process.env).flatMap(([name, value]) =>
      value === undefined || foreign.test(name) ? [] : [[name, value] as const],
    ),
  );
}

/** The only child of a process. /proc/PID/task/PID/children is not in every kernel; PPid is. */
export function childOf(parent: number): number | undefined {
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      // pid (comm) state ppid ...: comm may hold spaces and brackets, so read from the last bracket.
      const stat = readFileSync(`/proc/${name}/stat`, 'latin1');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      if (Number(fields[1]) === parent && fields[0] !== 'Z') return Number(name);
    } catch {
      // It ended while we looked.
    }
  }
  return undefined;
}
