/** What the kernel and /proc say, read at little cost. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { ip } from './netns.ts';

/** How many IPv4 prefixes this namespace's routing tables hold; about 70 ns a prefix, and no lock that writers need. */
export function countPrefixes(): number {
  const count = /Prefixes:\s+(\d+)/.exec(readFileSync('/proc/net/fib_triestat', 'latin1'))?.[1];
  if (count === undefined) throw new Error('/proc/net/fib_triestat names no count');
  return Number(count);
}

/** Milliseconds until `done`, asked every millisecond. */
export async function waitFor(
  what: string,
  timeoutMs: number,
  done: () => boolean,
): Promise<number> {
  const start = performance.now();
  while (!done()) {
    if (performance.now() - start > timeoutMs)
      throw new Error(`${what}: not within ${timeoutMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  return performance.now() - start;
}

/** Takes away every route of agents with the default --route-protocol. */
export async function flushRoutes(): Promise<void> {
  await ip('-4 route flush proto 104');
}

const TICK_MS = 10;

/** Milliseconds of processor time of a process and all that it has started. */
export function cpuMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const words = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  // Fields 14 to 17 of proc(5): own user and system time, and that of children that have ended.
  const own = words.slice(11, 15).reduce((sum, word) => sum + Number(word), 0) * TICK_MS;
  return childrenOf(pid).reduce((sum, child) => sum + cpuMs(child), own);
}

function childrenOf(pid: number): number[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
    readFileSync(`/proc/${pid}/task/${thread}/children`, 'latin1')
      .split(' ')
      .filter((word) => word.trim() !== '')
      .map(Number),
  );
}

/** A hand that is quick: one `ip` that does a line as soon as it is told. */
export class Hand {
  readonly #child = spawn('ip', ['-force', '-batch', '-'], { stdio: ['pipe', 'ignore', 'ignore'] });

  do(line: string): void {
    this.#child.stdin?.write(`${line}\n`);
  }

  /** Resolves when all that it was told is done. */
  async close(): Promise<void> {
    this.#child.stdin?.end();
    if (this.#child.exitCode === null) await once(this.#child, 'exit');
  }
}
