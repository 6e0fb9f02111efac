import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { run } from '../../src/core/index.ts';
import { systemdNotifier } from '../../src/host/index.ts';
import { needs } from '../support/needs.ts';

type Run = typeof run;
const env = { NOTIFY_SOCKET: '/run/systemd/notify' };
const failing: Run = () => Promise.reject(new Error('spawn systemd-notify ENOENT'));

describe('the notifier', () => {
  test('speaks by the addon, a state and its status in one message', async () => {
    const said: string[] = [];
    const notify = systemdNotifier({ env, nativeNotify: (text) => said.push(text), run: failing });
    await notify.ready('subnet 10.100.1.0/24');
    await notify.status('two\nlines\nREADY=0');
    await notify.stopping();
    assert.deepEqual(said, [
      'READY=1\nSTATUS=subnet 10.100.1.0/24',
      'STATUS=two lines READY=0',
      'STOPPING=1',
    ]);
  });

  test('without an addon, or with a broken one, speaks by systemd-notify, in order', async () => {
    const started: string[] = [];
    const slowFirst: Run = async (file, args) => {
      if (args.includes('READY=1')) await new Promise((resolve) => setImmediate(resolve));
      started.push([file, ...args].join(' '));
      return { code: 0, stdout: '', stderr: '' };
    };
    const nativeNotify = (): void => {
      throw new Error('EPERM');
    };
    const notify = systemdNotifier({ env, nativeNotify, run: slowFirst });
    await Promise.all([notify.ready('up'), notify.stopping()]);
    const front = `systemd-notify --no-block --pid=${process.pid}`;
    assert.deepEqual(started, [`${front} READY=1 STATUS=up`, `${front} STOPPING=1`]);
  });

  test('of statuses that wait tells the latest alone, and none before what came earlier', async () => {
    const started: string[] = [];
    const slow: Run = async (_file, args) => {
      await new Promise((resolve) => setImmediate(resolve));
      started.push(args.slice(2).join(' '));
      return { code: 0, stdout: '', stderr: '' };
    };
    const notify = systemdNotifier({ env, run: slow });
    const all = [notify.status('waits'), notify.ready('up')];
    for (let i = 1; i <= 1000; i += 1) all.push(notify.status(`peer ${i}`));
    all.push(notify.stopping());
    await Promise.all(all);
    assert.deepEqual(started, [
      'STATUS=waits',
      'READY=1 STATUS=up',
      'STATUS=peer 1000',
      'STOPPING=1',
    ]);
    await Promise.all([notify.status('a'), notify.status('b')]);
    await notify.status('c');
    assert.deepEqual(started.slice(4), ['STATUS=b', 'STATUS=c']);
  });

  test('that reaches nobody says so once and fails nothing', async () => {
    const troubles: string[] = [];
    const notify = systemdNotifier({ env, run: failing, onTrouble: (text) => troubles.push(text) });
    await notify.ready('up');
    await notify.stopping();
    assert.equal(troubles.length, 1);
    assert.match(troubles[0] ?? '', /systemd cannot be told.*ENOENT/);
  });

  test('outside systemd does nothing', async () => {
    const onTrouble = (text: string): void => assert.fail(text);
    await systemdNotifier({ env: {}, run: failing, onTrouble }).ready('up');
  });
});

describe('the units', () => {
  const folder = fileURLToPath(new URL('../../src/host/systemd', import.meta.url));

  test('pass systemd-analyze verify', { skip: needs('systemd-analyze') }, async () => {
    const copy = mkdtempSync(join(tmpdir(), 'hostgw-units-'));
    try {
      cpSync(folder, copy, { recursive: true });
      const hostgw = readFileSync(join(copy, 'hostgw.service'), 'utf8');
      assert.match(hostgw, /^ExecStart=\/usr\/bin\/hostgw agent$/m);
      // The program is not installed where tests run, nor need Docker be: any program will do.
      writeFileSync(join(copy, 'hostgw.service'), hostgw.replace('/usr/bin/hostgw', '/bin/true'));
      const dropIn = join(copy, 'docker.service.d/hostgw.conf');
      writeFileSync(dropIn, readFileSync(dropIn, 'utf8').replace('=dockerd', '=true'));
      const docker = '[Unit]\nDescription=Docker\n[Service]\nType=notify\nExecStart=/bin/false\n';
      writeFileSync(join(copy, 'docker.service'), docker);
      const units = ['hostgw.service', 'docker.service'].map((unit) => join(copy, unit));
      const result = await run('systemd-analyze', ['verify', '--man=no', ...units]);
      // Other units of the machine may have faults of their own.
      const ours = result.stderr.split('\n').filter((line) => /hostgw|docker/.test(line));
      assert.deepEqual(ours, []);
      assert.equal(result.code, 0, result.stderr);
    } finally {
      rmSync(copy, { recursive: true });
    }
  });
});
