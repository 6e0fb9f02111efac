/** The three JavaScript runtimes as real programs (no launcher in front, so that signals reach them). */
import { existsSync, realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export type Runtime = 'bun' | 'deno' | 'node';

export interface AgentOptions {
  /** Default: the runtime that this process runs on, if it is Bun, else Bun. */
  readonly runtime?: Runtime;
  readonly args?: readonly string[];
  readonly env?: Record<string, string>;
}

const PROJECT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const MAIN = join(PROJECT, 'src', 'main.ts');

/** Path of a runtime's program from node_modules, else of the one we run on; undefined if it is not installed. */
export function runtimePath(runtime: Runtime): string | undefined {
  const own = process.versions[runtime] !== undefined && !(runtime === 'node' && isDressedAsNode());
  if (own) return process.execPath;
  const shim = join(PROJECT, 'node_modules', '.bin', runtime);
  if (!existsSync(shim)) return undefined;
  if (runtime !== 'deno') return realpathSync(shim);
  return denoPath(shim);
}

/** Bun and Deno report a Node version of their own too. */
function isDressedAsNode(): boolean {
  return process.versions['bun'] !== undefined || process.versions['deno'] !== undefined;
}

/** The deno package's own program may be a launcher; the platform's package holds the real one. */
function denoPath(shim: string): string {
  const libc = existsSync('/etc/alpine-release') ? 'musl' : 'glibc';
  const name = `@deno/linux-${process.arch === 'arm64' ? 'arm64' : 'x64'}-${libc}/deno`;
  try {
    return createRequire(shim).resolve(name);
  } catch {
    return realpathSync(shim);
  }
}

/** Command line and environment of `hostgw agent` on the given runtime. */
export function agentCommand(options: AgentOptions): {
  command: string[];
  env: Record<string, string>;
} {
  const runtime = options.runtime ?? 'bun';
  const path = runtimePath(runtime);
  if (path === undefined) throw new Error(`${runtime} is not installed: run npm ci`);
  const flags: Record<Runtime, string[]> = { bun: [], deno: ['run', '-A'], node: [] };
  return {
    command: [path, ...flags[runtime], MAIN, 'agent', ...(options.args ?? [])],
    env: { NO_COLOR: '1', ...options.env },
  };
}
