/** Workers: the program of worker.ts on one of the three runtimes, asked over its standard input. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import process from 'node:process';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Answer, Command, Reply } from './protocol.ts';

const RUNTIMES = ['bun', 'node', 'deno'] as const;
export type Runtime = (typeof RUNTIMES)[number];

/** Bun is what is gated; the others are for comparison. */
export const runtimesOf = (quick: boolean): readonly Runtime[] => (quick ? ['bun'] : RUNTIMES);

const BIN = fileURLToPath(new URL('../../node_modules/.bin/', import.meta.url));
const PROGRAM = fileURLToPath(new URL('./worker.ts', import.meta.url));
export const COMMANDS: Readonly<Record<Runtime, readonly string[]>> = {
  bun: [process.versions.bun === undefined ? `${BIN}bun` : process.execPath],
  deno: [`${BIN}deno`, 'run', '-A', '--quiet'],
  node: [`${BIN}node`, '--disable-warning=ExperimentalWarning'],
};

export class Worker {
  readonly #child: ChildProcess;
  readonly #lines: Interface;
  #next: ((line: string | undefined) => void) | undefined;

  private constructor(child: ChildProcess, lines: Interface) {
    this.#child = child;
    this.#lines = lines;
    lines.on('line', (line) => this.#next?.(line));
    lines.on('close', () => this.#next?.(undefined));
  }

  static async open(
    runtime: Runtime,
    driver: 'native' | 'ip',
    device: number,
    wrapped: readonly string[] = [],
  ): Promise<Worker> {
    const [file = '', ...words] = [...wrapped, ...COMMANDS[runtime], PROGRAM];
    const child = spawn(file, words, { stdio: ['pipe', 'pipe', 'inherit'] });
    const worker = new Worker(child, createInterface({ input: child.stdout }));
    await worker.ask({ do: 'open', driver, device });
    return worker;
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new Error('the worker did not start');
    return this.#child.pid;
  }

  /** One question at a time. Rejects with the worker's error, or if it has ended. */
  async ask(command: Command): Promise<Reply> {
    const line = await new Promise<string | undefined>((resolve) => {
      this.#next = resolve;
      this.#child.stdin?.write(`${JSON.stringify(command)}\n`);
    });
    if (line === undefined) throw new Error(`the worker ended at ${JSON.stringify(command)}`);
    const answer: Answer = JSON.parse(line);
    if ('error' in answer) throw new Error(answer.error);
    return answer;
  }

  async close(): Promise<void> {
    this.#child.stdin?.end();
    if (this.#child.exitCode === null) await once(this.#child, 'exit');
    this.#lines.close();
  }
}
