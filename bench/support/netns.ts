/**
 * A network namespace of the benchmark's own. The program starts itself again in it; it ends with that process.
 * In it: a link `bench0` with carrier, whose network 172.16.0.0/12 holds every gateway, and nothing else.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import process from 'node:process';
import { run } from '../../src/core/index.ts';

export interface Net {
  readonly link: string;
  /** Its interface index. */
  readonly device: number;
}

const INSIDE = 'HOSTGW_BENCH_INSIDE';
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export const isInside = (): boolean => process.env[INSIDE] === '1';

/** Runs this very program in a new namespace and gives its exit status. */
export async function enter(): Promise<number> {
  const user = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'];
  const self = [process.execPath, ...process.argv.slice(1)];
  // The kill signal reaches what is inside however this process ends.
  const words = ['--pdeathsig', 'KILL', 'unshare', ...user, '--net', ...self];
  const child = spawn('setpriv', words, {
    stdio: 'inherit',
    env: { ...process.env, [INSIDE]: '1' },
  });
  for (const signal of SIGNALS) process.on(signal, () => child.kill(signal));
  const [code] = await once(child, 'exit');
  return typeof code === 'number' ? code : 1;
}

export async function setUp(): Promise<Net> {
  const link = 'bench0';
  await ip('link set lo up');
  await ip(`link add ${link} type veth peer name bench1`);
  for (const name of [link, 'bench1']) await ip(`link set ${name} addrgenmode none up`);
  await ip(`addr add 172.16.0.1/12 dev ${link}`);
  const device = Number(/^(\d+):/.exec(await ip(`-o link show dev ${link}`))?.[1]);
  return { link, device };
}

export async function ip(words: string): Promise<string> {
  const { code, stdout, stderr } = await run('ip', words.split(' '), { timeoutMs: 120_000 });
  if (code !== 0) throw new Error(`ip ${words}: ${stderr.trim()}`);
  return stdout;
}
