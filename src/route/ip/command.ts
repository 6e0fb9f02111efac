/** Runs iproute2's `ip`. That it is missing or busybox's is said with the cure; its exit status is data. */
import { type RunResult, run, sentenceOf } from '../../core/index.ts';
import { RouteDriverError } from '../types.ts';

const CURE = 'install iproute2';

export type IpCommand = (args: readonly string[], input?: string) => Promise<RunResult>;

// 65,000 routes of one metric take the kernel 55 s; a dump of as many takes `ip` under 1 s.
const TIMEOUT_MS = 180_000;

/** `file` is a name on PATH or a path. The calls reject with RouteDriverError if it cannot be started. */
export function ipCommand(file: string): IpCommand {
  return async (args, input = '') => {
    try {
      return await run(file, args, { input, timeoutMs: TIMEOUT_MS });
    } catch (error) {
      const reason = sentenceOf(error);
      throw new RouteDriverError(`cannot run ${file} (${reason}): ${CURE}`, { cause: error });
    }
  };
}

/** Resolves with the version that `ip -V` prints; rejects with RouteDriverError if it is not iproute2's. */
export async function checkIproute2(ip: IpCommand): Promise<string> {
  const { stdout, stderr } = await ip(['-V']);
  const version = /iproute2-(\S+?),?(?:\s|$)/.exec(stdout)?.[1];
  if (version !== undefined) return version;
  const said = `${stdout}${stderr}`.split('\n')[0];
  throw new RouteDriverError(`ip is not iproute2's, -V says "${said}": ${CURE}`);
}
