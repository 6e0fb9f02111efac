/** A whole agent as a process of its own, as a person starts it, on one of the three runtimes; and what it costs. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cpuMs, waitFor } from './kernel.ts';
import { COMMANDS, type Runtime } from './workers.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
/** Lines of its log that are kept for when something goes wrong. */
const LAST_WORDS = 4000;

/** What an agent leaves on disk: gone with it, or kept for the next one. */
export class Disk {
  readonly folder = mkdtempSync('/dev/shm/hostgw-bench-');

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export class AgentProcess {
  /** When it was started, by performance.now(). */
  readonly startedAt: number;
  readonly #child: ChildProcess;
  #said = '';

  /** `endpoint`: the etcd's. `flags`: more of the agent's own. */
  constructor(
    runtime: Runtime,
    options: { readonly endpoint: string; readonly link: string; readonly disk: Disk },
    flags: readonly string[] = [],
  ) {
    const { endpoint, link, disk } = options;
    const words = [
      ...['--pdeathsig', 'KILL', '--', ...COMMANDS[runtime], MAIN, 'agent'],
      ...[`--etcd-endpoints=${endpoint}`, `--iface=${link}`],
      ...[`--state-dir=${join(disk.folder, 'state')}`],
      ...[`--subnet-file=${join(disk.folder, 'subnet.env')}`, ...flags],
    ];
    this.startedAt = performance.now();
    this.#child = spawn('setpriv', words, { stdio: ['ignore', 'ignore', 'pipe'] });
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#said = (this.#said + text).slice(-LAST_WORDS);
    });
  }

  get pid(): number {
    const { pid } = this.#child;
    if (pid === undefined || this.#child.exitCode !== null)
      throw new Error(`the agent ended; it said last:\n${this.#said}`);
    return pid;
  }

  /** What it said last. */
  get said(): string {
    return this.#said;
  }

  /** Resolves once its log says it. */
  async waitFor(words: RegExp, timeoutMs: number): Promise<void> {
    await waitFor(`the agent says ${words}`, timeoutMs, () => words.test(this.#said)).catch(
      (error: unknown) => {
        throw new Error(`${error}; it said last:\n${this.#said}`);
      },
    );
  }

  /** Processor time of it and of every program that it has started and that has ended. */
  get cpuMs(): number {
    return cpuMs(this.pid);
  }

  /** Resident memory now. */
  get rssMb(): number {
    return this.#status('VmRSS');
  }

  /** The most that was ever resident, since the start or since `forgetPeak`. */
  get peakMb(): number {
    return this.#status('VmHWM');
  }

  forgetPeak(): void {
    // proc(5): 5 resets VmHWM to what is resident now.
    writeFileSync(`/proc/${this.pid}/clear_refs`, '5');
  }

  /** As kill -9 does: nothing is tidied up. */
  async kill(): Promise<void> {
    const { exitCode, signalCode } = this.#child;
    if (exitCode !== null || signalCode !== null) return;
    this.#child.kill('SIGKILL');
    await once(this.#child, 'exit');
  }

  #status(field: string): number {
    const status = readFileSync(`/proc/${this.pid}/status`, 'latin1');
    return Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(status)?.[1]) / 1024;
  }
}
