/** The runner of the tests counts what CI counts, and ends what does not end. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
// @ts-types="../../scripts/testRunner.d.mts"
import { runTests } from '../../scripts/testRunner.mjs';
import { until } from '../support/until.ts';

const BUN = fileURLToPath(new URL('../../node_modules/.bin/bun', import.meta.url));
const skip = existsSync(BUN) ? false : 'needs bun';
const USES = "import { test } from 'node:test'; import { spawn } from 'node:child_process';";

describe('the runner of the tests', { skip }, () => {
  let root = '';
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'hostgw-runner-'));
  });
  afterEach(() => rmSync(root, { recursive: true }));

  const file = (path: string, body: string): void => {
    mkdirSync(join(root, path, '..'), { recursive: true });
    writeFileSync(join(root, path), `${USES}\n${body}\n`);
  };
  const run = async (paths: readonly string[] = [], fileMs = 60_000) => {
    let said = '';
    const write = (text: string): void => {
      said += text;
    };
    const status = await runTests({ bun: BUN, paths, root, fileMs, write });
    return { status, said };
  };

  test('counts all files but the long ones, and names what was skipped and what failed', async () => {
    file(
      'test/a/good.test.ts',
      "test('is good', () => {}); test('is skipped', { skip: true }, () => {});",
    );
    file('test/a/bad.test.ts', "test('is bad', () => { throw new Error('so bad'); });");
    file('test/long/hours.test.ts', "test('takes hours', () => {});");
    const { status, said } = await run();
    assert.equal(status, 1);
    assert.match(said, /so bad/);
    assert.match(said, /\nskipped:\n {2}test\/a\/good\.test\.ts: is skipped\n/);
    assert.match(said, /\nfailed:\n {2}test\/a\/bad\.test\.ts: is bad\n/);
    assert.match(said, /\n 1 pass\n 1 skip\n 1 fail\n$/);
  });

  test('runs what is named, and says when there is none', async () => {
    file('test/a/one.test.ts', "test('one', () => {});");
    file('test/b/two.test.ts', "test('two', () => {});");
    const { status, said } = await run(['test/b/']);
    assert.equal(status, 0);
    assert.match(said, /\n 1 pass\n 0 skip\n 0 fail\n$/);
    assert.doesNotMatch(said, /one/);
    assert.equal((await run(['test/c/'])).status, 1);
  });

  test('counts a file that cannot be read, or that ends its process, as a failure', async () => {
    file('test/a/broken.test.ts', "import './nothing.ts';");
    file('test/a/exits.test.ts', "test('leaves', () => { process.exit(3); });");
    const { status, said } = await run();
    assert.equal(status, 1);
    assert.match(said, / {2}test\/a\/broken\.test\.ts: ended with status 1\n/);
    assert.match(said, / {2}test\/a\/exits\.test\.ts: ended with status 3\n/);
    assert.match(said, /\n 0 pass\n 0 skip\n 2 fail\n$/);
  });

  test('counts a file that ends before all its tests have run as a failure, also with status 0', async () => {
    file(
      'test/a/half.test.ts',
      "test('one', () => {}); test('leaves', () => process.exit(0)); test('fails', () => { throw 1; });",
    );
    file('test/a/none.test.ts', '');
    const { status, said } = await run();
    assert.equal(status, 1);
    assert.match(said, / {2}test\/a\/half\.test\.ts: ended before all its tests had run/);
    assert.match(said, / {2}test\/a\/none\.test\.ts: ended before all its tests had run/);
  });

  test('does not wait for a program that left the group with the output in its hand, and counts it as a failure', async () => {
    const pid = join(root, 'pid');
    const child = `spawn('setsid', ['sh', '-c', 'echo $$ > ${pid}; exec sleep 1000'], { stdio: 'inherit' })`;
    const there = `while (!existsSync('${pid}')) await new Promise(setImmediate);`;
    file(
      'test/a/leaves.test.ts',
      `import { existsSync } from 'node:fs'; test('leaves it', async () => { ${child}; ${there} });`,
    );
    const { status, said } = await run();
    process.kill(Number(readFileSync(pid, 'utf8')), 'SIGKILL');
    assert.equal(status, 1);
    assert.match(said, /leaves\.test\.ts: left a program behind that holds its output/);
  });

  test('ends a file that does not end, with the programs that it started', async () => {
    const pid = join(root, 'pid');
    const child = `spawn('sh', ['-c', 'echo $$ > ${pid}; exec sleep 1000'], { stdio: 'inherit' })`;
    file('test/a/stuck.test.ts', `test('hangs', () => new Promise(() => { ${child}; }));`);
    let ms = 2_000;
    let ended = await run([], ms);
    // On a slow machine bun had not even started it.
    while (!existsSync(pid)) {
      ms *= 3;
      ended = await run([], ms);
    }
    const { status, said } = ended;
    assert.equal(status, 1);
    assert.match(said, / {2}test\/a\/stuck\.test\.ts: not done within \d+ s, killed\n/);
    assert.match(said, /\n 0 pass\n 0 skip\n 1 fail\n$/);
    const stat = `/proc/${readFileSync(pid, 'utf8').trim()}/status`;
    // One that nobody has waited for yet is dead all the same.
    const isGone = (): boolean =>
      !existsSync(stat) || /^State:\s+Z/m.test(readFileSync(stat, 'utf8'));
    await until('the program is gone', isGone);
  });
});
