// The one way into the project from a fresh clone: makes sure of packages, addon and tools, then runs
// what was asked. Plain JavaScript for Node >= 20, no dependencies: it runs before there are any.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { CHECKS } from './checks.mjs';
import { findProgram, ROOT, say } from './common.mjs';
import { runTests } from './testRunner.mjs';
import { ensureTools, findEtcd } from './tools.mjs';

const USAGE = `usage: node scripts/bootstrap.mjs COMMAND [ARGS]
  demo [ARGS]        the demo; --help for its options
  test [PATHS]       all tests but the long ones, or those in the files and folders named;
                     HOSTGW_TEST_JOBS files at a time (twice the processors)
  build-native       the Rust addon
  check              types, lint, unused code, import directions, Rust
  long [NAME]        the long tests in test/long, or the one named
  bench NAME         a benchmark; without a name, which there are`;

/** Runs a program to its end with our own input and output; signals to us reach it. Gives the exit status. */
function exec(file, args, env = {}) {
  return new Promise((resolve) => {
    const child = spawn(file, args, {
      cwd: ROOT,
      stdio: 'inherit',
      env: { ...process.env, ...env },
    });
    // Ctrl-C goes to the whole terminal group, so the child has it already; it decides, we wait.
    const pass = (signal) => () =>
      signal === 'SIGINT' && process.stdin.isTTY ? undefined : child.kill(signal);
    const handlers = ['SIGINT', 'SIGTERM', 'SIGHUP'].map((signal) => [signal, pass(signal)]);
    for (const [signal, handler] of handlers) process.on(signal, handler);
    const done = (status) => {
      for (const [signal, handler] of handlers) process.off(signal, handler);
      resolve(status);
    };
    child.on('error', (error) => {
      say(`${file} cannot be started: ${error.message}`);
      done(127);
    });
    child.on('close', (code, signal) => done(code ?? 128 + (SIGNAL_NUMBERS[signal] ?? 0)));
  });
}
const SIGNAL_NUMBERS = { SIGHUP: 1, SIGINT: 2, SIGABRT: 6, SIGKILL: 9, SIGSEGV: 11, SIGTERM: 15 };

/** Installs the packages if they are missing or older than the lock file. */
async function ensurePackages() {
  const installed = join(ROOT, 'node_modules', '.package-lock.json');
  const age = (path) => statSync(path, { throwIfNoEntry: false })?.mtimeMs;
  const have = age(installed);
  if (have === undefined || have < age(join(ROOT, 'package-lock.json'))) {
    say('installing npm packages');
    const quiet = ['--no-audit', '--no-fund', '--loglevel=error'];
    const clean = spawnSync('npm', ['ci', ...quiet], { cwd: ROOT, encoding: 'utf8' });
    if (clean.status === 0) return;
    // npm ci refuses a lock file that lacks packages of other platforms, which a mirror may not have
    // had when it was written; npm install takes the same versions from it, and leaves it as it is.
    const reason =
      /code (E\w+)/.exec(clean.stderr ?? '')?.[1] ?? clean.error?.message ?? 'no reason given';
    say(`npm ci refused (${reason}); using npm install with the same lock file`);
    const status = await exec('npm', ['install', '--no-save', ...quiet]);
    if (status !== 0) {
      throw new Stop(
        `the npm packages cannot be installed (status ${status}); see npm's message above`,
        status,
      );
    }
  }
}

/** The bun program: of the package, or of its platform package where install scripts did not run. */
function bunPath() {
  const works = (path) => existsSync(path) && spawnSync(path, ['--version']).status === 0;
  const scope = join(ROOT, 'node_modules', '@oven');
  const platforms = existsSync(scope)
    ? readdirSync(scope).map((name) => join(scope, name, 'bin', 'bun'))
    : [];
  const found = [join(ROOT, 'node_modules', '.bin', 'bun'), ...platforms, findProgram('bun')].find(
    (path) => path !== undefined && works(path),
  );
  if (found === undefined) {
    throw new Stop(
      'bun does not run: allow its install script (npm rebuild bun), or install Bun yourself',
      1,
    );
  }
  return found;
}

/** Builds the addon; without it everything works, more slowly, so a failure is said and passed over. */
async function ensureNative() {
  const { buildNative } = await import('./native.mjs');
  const built = await buildNative({ log: say });
  if (built.ok) return true;
  const sentence = (text) => String(text).trim().replace(/\.$/, '');
  say(
    `no native addon: ${sentence(built.reason)}; ${sentence(built.cure)}. Continuing in fallback mode.`,
  );
  return false;
}

class Stop extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** What programs of the project are given: where etcd is. */
async function labEnvironment() {
  ensureTools();
  const etcd = findEtcd();
  if (etcd.path === undefined) say(etcd.cure);
  return etcd.path === undefined ? {} : { HOSTGW_ETCD: etcd.path };
}

const COMMANDS = {
  async demo(args) {
    if (args.some((arg) => arg === '--help' || arg === '-h')) {
      await ensurePackages();
      return exec(bunPath(), ['src/main.ts', 'demo', ...args]);
    }
    await ensurePackages();
    await ensureNative();
    const env = await labEnvironment();
    if (env.HOSTGW_ETCD === undefined) return 1;
    return exec(bunPath(), ['src/main.ts', 'demo', ...args], env);
  },
  async test(args) {
    await ensurePackages();
    await ensureNative();
    const env = await labEnvironment();
    // Options are bun's: then one bun runs it all.
    if (args.some((arg) => arg.startsWith('-')))
      return exec(bunPath(), ['test', '--timeout', '180000', ...args], env);
    return runTests({ bun: bunPath(), paths: args, env });
  },
  async long(args) {
    await ensurePackages();
    await ensureNative();
    const env = await labEnvironment();
    const [name, ...rest] = args;
    const where = name === undefined ? 'test/long/' : `test/long/${name}`;
    if (!existsSync(join(ROOT, 'test', 'long')))
      throw new Stop('there are no long tests (test/long is missing)', 1);
    return exec(bunPath(), ['test', '--timeout', '3600000', where, ...rest], { ...env, LONG: '1' });
  },
  async bench(args) {
    await ensurePackages();
    await ensureNative();
    return exec(bunPath(), ['bench/main.ts', ...args]);
  },
  async 'build-native'() {
    await ensureNative();
    return 0;
  },
  async check() {
    await ensurePackages();
    let failed = 0;
    for (const { name, command, skip } of CHECKS({ bun: bunPath() })) {
      const reason = skip?.();
      if (reason) {
        say(`check ${name}: skipped, ${reason}`);
        continue;
      }
      const [file, ...args] = command;
      const status = await exec(file, args);
      say(`check ${name}: ${status === 0 ? 'ok' : `failed (status ${status})`}`);
      if (status !== 0) failed += 1;
    }
    return failed === 0 ? 0 : 1;
  },
};

const [name = '', ...args] = process.argv.slice(2);
const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
if (command === undefined) {
  console.error(USAGE);
  process.exitCode = 2;
} else {
  try {
    process.exitCode = await command(args);
  } catch (error) {
    if (!(error instanceof Stop)) throw error;
    say(error.message);
    process.exitCode = error.status;
  }
}
