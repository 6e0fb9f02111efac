/** The limit program, native/limit: built where it is not up to date, run in the benchmark's namespace. */
import { fileURLToPath } from 'node:url';
import { run } from '../../src/core/index.ts';
import { prove } from './bench.ts';

const NATIVE = fileURLToPath(new URL('../../native/', import.meta.url));
const PROGRAM = `${NATIVE}target/release/hostgw-limit`;

export interface LimitOptions {
  readonly device: number;
  readonly routes: number;
  readonly metrics: number;
  /** Messages a send. Default 256. */
  readonly chunk?: number;
}

/** Times of one run in milliseconds; the kernel's own count has shown that all was added and is gone. */
export interface LimitTimes {
  readonly addMs: number;
  readonly deleteMs: number;
}

/** Builds the program with cargo; throws with cargo's words where that fails. */
export async function buildLimit(): Promise<void> {
  const words = ['build', '--release', '--locked', '--quiet', '--package', 'hostgw-limit'];
  const manifest = ['--manifest-path', `${NATIVE}Cargo.toml`];
  const built = await run('cargo', [...words, ...manifest], { timeoutMs: 600_000 });
  if (built.code !== 0) throw new Error(`the limit program cannot be built:\n${built.stderr}`);
}

export async function runLimit(options: LimitOptions): Promise<LimitTimes> {
  const { device, routes, metrics, chunk = 256 } = options;
  const pairs = { device, routes, gateways: routes, metrics, chunk, rounds: 1 };
  const words = Object.entries(pairs).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const said = await run(PROGRAM, words, { timeoutMs: 120_000 });
  if (said.code !== 0) throw new Error(`the limit program failed: ${said.stderr.trim()}`);
  const { rounds }: Said = JSON.parse(said.stdout);
  const [round] = rounds;
  prove(round?.added === routes && round.left === 0, 'the limit program added and deleted all');
  return round;
}

interface Said {
  readonly rounds: readonly (LimitTimes & { readonly added: number; readonly left: number })[];
}
