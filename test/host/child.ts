/** A few lines of a module in a process of their own, under the runtime that runs the test. */
import { type ChildProcess, spawn } from 'node:child_process';

/** The URL of a file of src/, to import in such code. */
export const source = (path: string): string => new URL(`../../src/${path}`, import.meta.url).href;

/** `before`: words in front, as `unshare --net`. Top-level await works. */
export function child(code: string, before: readonly string[] = []) {
  const evaluate = 'Bun' in globalThis ? ['-e'] : ['--input-type=module', '-e'];
  const words = [
    ...before,
    process.execPath,
    ...('Deno' in globalThis ? ['eval'] : evaluate),
    code,
  ];
  const [file = '', ...args] = words;
  return spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'] });
}

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
}

/** Waits for its end. */
export function ended(process: ChildProcess): Promise<Ended> {
  return new Promise((resolve, reject) => {
    let stdout = '';
    process.stdout?.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    process.on('error', reject);
    process.on('close', (code) => resolve({ code, stdout }));
  });
}
