// A newer etcd than the distribution's, to run the tests of etcd on both: named by $HOSTGW_ETCD_NEXT, or built with Go
// into the cache. Prints the folder that holds `etcd` and `etcdutl`; else says in one sentence why there is none.
// Building takes minutes, so that only .ci/run does it. Plain JavaScript for Node >= 20.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { findProgram, isProgram, say } from './common.mjs';

const VERSION = 'v3.7.3';
/** Of each step; what needs longer is given up. */
const STEP_MS = 600_000;

function folder() {
  const named = process.env.HOSTGW_ETCD_NEXT;
  if (named)
    return isProgram(named)
      ? dirname(named)
      : fail(`$HOSTGW_ETCD_NEXT names ${named}, which is no program`);
  const cache = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
  const built = join(cache, 'hostgw', `etcd-${VERSION}`);
  if (isProgram(join(built, 'etcd')) && isProgram(join(built, 'etcdutl'))) return built;
  if (process.env.HOSTGW_NO_INSTALL === '1')
    return fail('HOSTGW_NO_INSTALL=1 forbids building one');
  const go = findProgram('go');
  return go === undefined ? fail('go is not installed to build one') : build(go, built);
}

/** In a module that requires etcd's: its own cannot be installed by name, for they replace each other. */
function build(go, into) {
  mkdirSync(dirname(into), { recursive: true });
  const work = mkdtempSync(`${into}.`);
  try {
    writeFileSync(join(work, 'go.mod'), 'module hostgw.test/etcd\n');
    const modules = ['server', 'etcdutl'].map((name) => `go.etcd.io/etcd/${name}/v3`);
    const env = { ...process.env, CGO_ENABLED: '0', GOFLAGS: '-mod=mod', GOTOOLCHAIN: 'local' };
    const run = (...args) =>
      spawnSync(go, args, {
        cwd: work,
        env,
        encoding: 'utf8',
        timeout: STEP_MS,
        stdio: ['ignore', 'pipe', 'pipe'],
      });
    const steps = [
      ['get', ...modules.map((path) => `${path}@${VERSION}`)],
      ['build', '-trimpath', '-o', join(work, 'etcd'), modules[0]],
      ['build', '-trimpath', '-o', join(work, 'etcdutl'), modules[1]],
    ];
    for (const step of steps) {
      const { status, stderr, error } = run(...step);
      if (status !== 0) return fail(`go ${step[0]}: ${error?.message ?? lastLine(stderr)}`);
    }
    rmSync(into, { recursive: true, force: true });
    renameSync(work, into);
    return into;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

const lastLine = (text) => (text ?? '').trim().split('\n').at(-1) ?? '';

function fail(reason) {
  say(`no etcd ${VERSION}: ${reason}`);
  process.exitCode = 1;
  return undefined;
}

const found = folder();
if (found !== undefined) process.stdout.write(`${found}\n`);
