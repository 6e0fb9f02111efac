import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runtimePath } from '../../src/lab/index.ts';
import { needs } from '../support/needs.ts';
import { until } from '../support/until.ts';

const tools = ['root', 'ip', 'unshare', 'setpriv', 'nsenter', 'etcd', 'nft', 'iptables', 'busybox'];
const skip = needs(...tools) ?? false;
const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

interface Run {
  readonly child: ChildProcess;
  readonly output: () => string;
  readonly exited: Promise<number | null>;
}

const children: ChildProcess[] = [];

function demo(...args: string[]): Run {
  const bun = runtimePath('bun');
  assert.ok(bun, 'bun is installed');
  const child = spawn(bun, [MAIN, 'demo', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  children.push(child);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  const exited = once(child, 'close').then(([code]) => (typeof code === 'number' ? code : null));
  return { child, output: () => output, exited };
}

/** Every pid of the lab that a demo has opened: all live in one pid namespace other than ours. */
function labPids(owner: number): number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'latin1');
      const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      if (state !== 'Z') parents.set(Number(name), Number(parent));
    } catch {
      // It ended while we looked.
    }
  }
  const descends = (pid: number): boolean => {
    const parent = parents.get(pid);
    return parent === owner || (parent !== undefined && parent > 1 && descends(parent));
  };
  return [...parents.keys()].filter(descends);
}

const alive = (pid: number): boolean => {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
};

describe('hostgw demo', () => {
  // A failed test must not leave its hosts standing.
  after(() => {
    for (const child of children) child.kill('SIGKILL');
  });

  test('two at once: every ping arrives in both, and no colour goes into a pipe', {
    skip,
    timeout: 180_000,
  }, async () => {
    const runs = [demo('--hosts', '3', '--plain'), demo('--hosts=2', '--plain', '--driver=ip')];
    const codes = await Promise.all(runs.map((run) => run.exited));
    const [three, two] = runs.map((run) => run.output());
    assert.deepEqual(codes, [0, 0], `${three}\n${two}`);
    assert.match(three ?? '', /6 of 6 arrived/);
    assert.match(two ?? '', /2 of 2 arrived/);
    assert.match(two ?? '', /10\.100\.\d+\.0\/24 via 10\.10\.10\.101 dev eth0 proto/);
    assert.ok(!`${three}${two}`.includes('\u001b'), 'no escape codes');
  });

  test('--keep stands until Ctrl-C, its commands work from outside, then all is gone', {
    skip,
    timeout: 180_000,
  }, async () => {
    const run = demo('--hosts=2', '--plain', '--keep');
    await until('it says how to look around', () => /ip netns exec/.test(run.output()));
    const commands = run.output().match(/nsenter -t .*/g) ?? [];
    assert.ok(commands.length >= 4);
    for (const command of commands.map((line) => line.replace(/ sh\s{2,}.*$/, ' true'))) {
      const said = spawnSync('sh', ['-c', command], { encoding: 'utf8', timeout: 10_000 });
      assert.equal(said.status, 0, `${command}: ${said.stderr}`);
    }
    const pids = labPids(run.child.pid ?? 0);
    assert.ok(pids.length > 5);
    run.child.kill('SIGINT');
    assert.equal(await run.exited, 130, run.output());
    // The kernel ends what the lab killed in its own time.
    await until('all are gone', () => !pids.some(alive));
  });

  for (const [moment, sign] of [
    ['as soon as hosts stand', /^1\. /m],
    ['while agents wait', /waiting for the network config/],
    ['after the put', /lease acquired/],
  ] as const) {
    test(`Ctrl-C ${moment} takes everything away and exits 130`, {
      skip,
      timeout: 180_000,
    }, async () => {
      const run = demo('--hosts=2', '--plain');
      await until(moment, () => sign.test(run.output()));
      const pids = labPids(run.child.pid ?? 0);
      run.child.kill('SIGINT');
      assert.equal(await run.exited, 130, run.output());
      await until('all are gone', () => !pids.some(alive));
      assert.doesNotMatch(run.output(), /failed/);
    });
  }

  test('kill -9 leaves no process', { skip, timeout: 180_000 }, async () => {
    const run = demo('--hosts=2', '--plain');
    await until('agents wait', () => /waiting for/.test(run.output()));
    const pids = labPids(run.child.pid ?? 0);
    assert.ok(pids.length > 5);
    run.child.kill('SIGKILL');
    await until('all are gone', () => !pids.some(alive));
  });

  test('a wrong number of hosts and an unknown driver are refused in a sentence', async () => {
    for (const [args, sentence] of [
      [['--hosts=1'], /number from 2 to 50/],
      [['--hosts=many'], /number from 2 to 50/],
      [['--driver=magic'], /auto, native, ip/],
    ] as const) {
      const run = demo(...args);
      assert.equal(await run.exited, 2, run.output());
      assert.match(run.output(), sentence);
    }
  });
});
