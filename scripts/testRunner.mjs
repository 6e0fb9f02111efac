// Runs the test files side by side: most wait for kernels and clusters rather than compute. Each file's output is
// printed whole when it ends; the last lines count passes, skips and failures, and name the latter two. A file that
// is not done in its time is ended with all that it started, and is a failure. Plain JavaScript for Node >= 20.
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, relative } from 'node:path';
import { findProgram, ROOT, say } from './common.mjs';

/** One test may take this long: a slow machine, with neighbours. What it waits for has shorter bounds of its own. */
const TEST_MS = 180_000;
const FILE_MS = 400_000;
const KILL_MS = 3_000;

/** Started first, so that no long one is left for the end. The order costs time only, never a result. */
const SLOWEST = [
  'test/lab/',
  'test/etcd/',
  'test/sim/sim.test.ts',
  'test/host/forwardRules.test.ts',
  'test/route/kernel/',
  'test/route/neighbours/many.test.ts',
  'test/route/native/',
  'test/route/ip/',
];

/** Folders of files that take milliseconds: one process for all of a folder. */
const QUICK = [
  'core',
  'config',
  'ip',
  'lease',
  'support',
  'tidy',
  'route/reconciler',
  'route/fake',
];

/**
 * Runs all test files but the long ones, or those that `paths` name: files, folders, or a part of a path.
 * Gives the exit status. $HOSTGW_TEST_JOBS says how many run at a time. Types: testRunner.d.mts.
 */
export async function runTests({
  bun,
  paths = [],
  env = {},
  root = ROOT,
  fileMs = FILE_MS,
  write,
}) {
  const print = write ?? ((text) => void process.stdout.write(text));
  const files = testFiles(root, paths);
  if (files.length === 0) {
    say(`no test file matches ${paths.join(' ')}`);
    return 1;
  }
  const waiting = jobsOf(root, files);
  const total = { pass: 0, skipped: [], failed: [] };
  const running = new Set();
  let signal;
  const stop = (name) => {
    signal ??= name;
    for (const child of running) end(child);
  };
  const names = ['SIGINT', 'SIGTERM', 'SIGHUP'];
  for (const name of names) process.on(name, stop);
  const cut = [];
  const worker = async () => {
    while (signal === undefined && waiting.length > 0) {
      const job = waiting.shift();
      const done = await runJob({ bun, root, env, fileMs }, job, running);
      // What a signal cut short says nothing of the code: it is named as not run.
      if (signal !== undefined) cut.push(job);
      else {
        print(done.text);
        total.pass += done.pass;
        total.skipped.push(...done.skipped);
        total.failed.push(...done.failed);
      }
    }
  };
  await Promise.all(Array.from({ length: jobCount() }, worker));
  for (const name of names) process.off(name, stop);
  if (signal !== undefined) {
    const left = [...cut, ...waiting].flatMap((job) => job.files);
    total.failed.push(`ended by ${signal}; not run to the end: ${left.join(' ')}`);
  }
  print(summary(total));
  if (signal !== undefined) return 130;
  return total.failed.length === 0 ? 0 : 1;
}

/** Twice the processors: a test waits more than it computes. */
function jobCount() {
  const given = Number(process.env.HOSTGW_TEST_JOBS);
  return given >= 1 ? given : Math.min(2 * availableParallelism(), 8);
}

function testFiles(root, paths) {
  const all = readdirSync(join(root, 'test'), { recursive: true })
    .map((name) => join('test', name))
    .filter((path) => path.endsWith('.test.ts'))
    .sort();
  if (paths.length === 0) return all.filter((path) => !path.startsWith('test/long/'));
  const wanted = paths.map((path) => (existsSync(path) ? relative(root, path) : path));
  return all.filter((file) => wanted.some((path) => file.includes(path)));
}

/** Files in groups, one process each; those that take longest first. */
function jobsOf(root, files) {
  const groups = new Map();
  for (const file of files) {
    const quick = QUICK.find((folder) => file.startsWith(`test/${folder}/`));
    const key = quick ?? file;
    groups.set(key, {
      name: quick ? `test/${quick}` : file,
      files: [...(groups.get(key)?.files ?? []), file],
    });
  }
  const rank = ({ name }) => {
    const found = SLOWEST.findIndex((start) => name.startsWith(start));
    return found === -1 ? SLOWEST.length : found;
  };
  // Of one folder the larger files first: they have more tests.
  const size = ({ files }) => files.reduce((sum, file) => sum + statSync(join(root, file)).size, 0);
  return [...groups.values()].sort((a, b) => rank(a) - rank(b) || size(b) - size(a));
}

/** One process of bun for a group of files; never rejects. */
function runJob({ bun, root, env, fileMs }, { name, files }, running) {
  const started = performance.now();
  return new Promise((resolve) => {
    const words = ['test', '--timeout', String(TEST_MS), ...files.map((file) => `./${file}`)];
    // Where there is setpriv, a file's process ends also when this one is killed and cannot end it.
    const setpriv = findProgram('setpriv');
    const tie = setpriv ? [setpriv, '--pdeathsig', 'KILL', '--'] : [];
    const [program, ...args] = [...tie, bun, ...words];
    // A process group of its own: what a test started ends with it.
    const child = spawn(program, args, {
      cwd: root,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    });
    let output = '';
    let late = false;
    let orphan = false;
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        output += text;
      });
    }
    const timer = setTimeout(() => {
      late = true;
      end(child);
    }, fileMs);
    running.add(child);
    const done = (status) => {
      clearTimeout(timer);
      running.delete(child);
      const seconds = ((performance.now() - started) / 1000).toFixed(1);
      const left = orphan ? 'left a program behind that holds its output' : status;
      const trouble = late ? `not done within ${fileMs / 1000} s, killed` : left;
      resolve(resultOf(name, output, trouble, seconds));
    };
    child.on('error', (error) => done(`cannot be started: ${error.message}`));
    // A process that outlived bun may hold its pipes open: it goes first, so that they close.
    child.on('exit', () => {
      kill(child, 'SIGKILL');
      // One that has left the group cannot be found; nobody waits for it.
      setTimeout(() => {
        orphan = true;
        child.stdout.destroy();
        child.stderr.destroy();
      }, KILL_MS).unref();
    });
    child.on('close', (code, signal) => {
      done(code === 0 ? undefined : `ended with ${signal ?? `status ${code}`}`);
    });
  });
}

/** Asks a process group to end, and makes it. */
function end(child) {
  kill(child, 'SIGTERM');
  setTimeout(() => kill(child, 'SIGKILL'), KILL_MS).unref();
}

function kill(child, signal) {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, signal);
  } catch {
    // It has ended.
  }
}

/** What bun's output says: counts, names, and the text without bun's own heading and closing lines. */
function resultOf(name, output, trouble, seconds) {
  const result = { skipped: [], failed: [] };
  const passed = new Set();
  const lines = [];
  let file = name;
  let ran = 0;
  for (const line of output.split('\n')) {
    const heading = /^(test\/\S+\.test\.ts):$/.exec(line);
    if (heading) file = heading[1];
    const [, kind, title] = /^\((pass|skip|fail)\) (.*?)(?: \[[\d.]+ms\])?$/.exec(line) ?? [];
    if (kind === 'pass') passed.add(`${file}: ${title}`);
    if (kind === 'skip') result.skipped.push(`${file}: ${title}`);
    // A failure may quote an inner run of the same test.
    if (kind === 'fail' && !result.failed.includes(`${file}: ${title}`))
      result.failed.push(`${file}: ${title}`);
    // bun's closing line: a test that ends the process with 0 keeps it, and all behind itself, from coming.
    ran = Number(/^Ran (\d+) tests? across/.exec(line)?.[1] ?? ran);
    if (!/^bun test v|^ +\d+ (pass|skip|fail|error)s?$|^Ran \d+ tests? across/.test(line))
      lines.push(line);
  }
  if (trouble === undefined && ran === 0)
    result.failed.push(`${name}: ended before all its tests had run, or has none`);
  if (trouble !== undefined && (result.failed.length === 0 || !/^ended with status/.test(trouble)))
    result.failed.push(`${name}: ${trouble}`);
  const text = lines
    .join('\n')
    .replace(/\n{3,}/g, '\n\n')
    .trim();
  const end = trouble === undefined ? '' : `${name}: ${trouble}\n`;
  return { ...result, pass: passed.size, text: `\n${text}\n${end}(${name}: ${seconds} s)\n` };
}

function summary({ pass, skipped, failed }) {
  const list = (title, items) =>
    items.length === 0 ? '' : `\n${title}:\n${items.map((item) => `  ${item}\n`).join('')}`;
  const counts = [`${pass} pass`, `${skipped.length} skip`, `${failed.length} fail`];
  return `${list('skipped', skipped)}${list('failed', failed)}\n${counts.map((count) => ` ${count}\n`).join('')}`;
}
