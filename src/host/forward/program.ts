/** Starts a firewall program; that it is not installed, or cannot be started, is an answer and no exception. */
import { type RunOptions, type RunResult, type run, sentenceOf } from '../../core/index.ts';

/** Undefined if there is no such program. Rejects only when `signal` aborts. */
export async function startProgram(
  runProgram: typeof run,
  file: string,
  args: readonly string[],
  options: RunOptions & { readonly signal: AbortSignal },
): Promise<RunResult | undefined> {
  try {
    return await runProgram(file, args, options);
  } catch (error) {
    options.signal.throwIfAborted();
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    const why = sentenceOf(error);
    return { code: null, stdout: '', stderr: `${file} cannot be started: ${why}` };
  }
}

/** What a failed program said first, remarks (`# Warning: iptables-legacy tables present...`) left out. */
export function complaintOf({ code, stderr }: RunResult): string {
  const lines = stderr.split('\n').map((line) => line.trim());
  const said = lines.find((line) => line !== '' && !line.startsWith('#'));
  return said ?? (code === null ? 'it did not end in time' : `status ${code}`);
}
