/** The ip driver and its processes, in a network namespace of its own: kills, restarts, nothing left behind. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { run } from '../../../src/core/index.ts';
import type { Hint } from '../../../src/route/index.ts';
import { LINKS, ROUTES } from '../../../src/route/ip/ears.ts';
import { isListening } from '../../../src/route/ip/listening.ts';
import { needs } from '../../support/needs.ts';
import { inNetns } from '../../support/netns.ts';
import { until } from '../../support/until.ts';
import { add, filter, route } from '../samples.ts';
import { inWorld, monitors, routes, withScript } from './processes.ts';

inNetns(import.meta.url, needs('root', 'ip', 'unshare', 'setpriv'), (test) => {
  test('a killed monitor counts as a change of everything, and is started anew', () =>
    inWorld(async (world, driver) => {
      let hints: Hint[] = [];
      await driver.listen(filter(), (hint) => hints.push(hint));
      const everything = () => hints.some((h) => h.links && h.addresses && h.routes);
      for (let round = 0; round < 4; round += 1) {
        const [pid, ...more] = monitors(round < 2 ? 'link' : 'route');
        assert.ok(pid !== undefined && more.length === 0);
        hints = [];
        process.kill(pid, 'SIGKILL');
        await until('everything may have changed', everything);
        hints = [];
        await until(
          'it listens again, and what happened meanwhile may have been missed',
          everything,
        );
        assert.ok(!monitors().includes(pid));
        hints = [];
        await world.setLink({ carrier: round % 2 === 1 });
        await until('a link hint', () => hints.some((h) => h.links));
      }
    }));

  test('close ends the monitor, also one that is waiting to be started anew', () =>
    inWorld(async (_world, driver) => {
      const hints: Hint[] = [];
      await driver.listen(filter(), (hint) => hints.push(hint));
      const [pid = 0] = monitors('link');
      process.kill(pid, 'SIGKILL');
      await until('the end is noticed', () => hints.length > 0);
      await driver.close();
      const heard = hints.length;
      assert.deepEqual(monitors(), []);
      await new Promise((resolve) => setImmediate(resolve));
      assert.equal(hints.length, heard);
    }));

  test('close while listen is starting ends both', () =>
    inWorld(async (_world, driver) => {
      const listening = driver.listen(filter(), () => {});
      const closing = driver.close();
      // It may have been listening before it was closed.
      await listening.catch((error: unknown) =>
        assert.match(String(error), /RouteDriverError: closed/),
      );
      await closing;
      assert.deepEqual(monitors(), []);
    }));

  test('a process that has joined the groups but does not wait for them is not taken for listening', () =>
    inWorld(async (_world, driver) => {
      await driver.listen(filter(), () => {});
      for (const { words, groups } of [LINKS, ROUTES]) {
        const [pid = 0] = monitors(words[0] === 'link' ? 'link' : 'route');
        assert.equal(isListening(pid, groups), true);
        assert.equal(isListening(pid, LINKS.groups | ROUTES.groups), false);
        process.kill(pid, 'SIGSTOP');
        await until('it is seen as not listening', () => !isListening(pid, groups));
        process.kill(pid, 'SIGCONT');
        await until('it is seen as listening', () => isListening(pid, groups));
      }
    }));

  test('a monitor does not outlive its killed owner', async () => {
    const module = fileURLToPath(new URL('../../../src/route/ip/index.ts', import.meta.url));
    const program = `
      import { openIpDriver } from ${JSON.stringify(module)};
      const log = { debug() {}, info() {}, warn() {}, error() {} };
      const driver = await openIpDriver({ log });
      await driver.listen({ table: 254, protocol: 77, within: [] }, () => {});
      console.log('listening');`;
    const folder = mkdtempSync(join(tmpdir(), 'hostgw-owner-'));
    const file = join(folder, 'owner.ts');
    writeFileSync(file, program);
    const { deno } = process.versions;
    const words = deno === undefined ? [file] : ['run', '-A', file];
    const owner = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      let said = '';
      owner.stdout.on('data', (text) => {
        said += String(text);
      });
      await until('it listens', () => said.includes('listening'));
      assert.equal(monitors().length, 2);
      owner.kill('SIGKILL');
      await until('the monitor has ended', () => monitors().length === 0);
    } finally {
      owner.kill('SIGKILL');
      rmSync(folder, { recursive: true });
    }
  });

  test('a batch whose ip is killed half-way is unknown, and was done half-way', () =>
    withScript(
      'case "$1" in -force) head -n 10 | ip "$@"; kill -9 $$;; *) exec ip "$@";; esac',
      (file) =>
        inWorld(async (world, driver) => {
          const ops = routes(world.device, 20).map(add);
          const result = await driver.apply(ops);
          assert.equal(result.kind, 'unknown');
          assert.equal((await driver.dump(filter())).length, 10);
        }, file),
    ));

  test('a large batch of which one ip is killed is unknown, and the other one did its part', () =>
    withScript(
      'case "$1" in -force) if mkdir "$0.first" 2>/dev/null; then kill -9 $$; fi;; esac\nexec ip "$@"',
      (file) =>
        inWorld(async (world, driver) => {
          const ops = routes(world.device, 1000).map(add);
          assert.equal((await driver.apply(ops)).kind, 'unknown');
          assert.equal((await driver.dump(filter())).length, 500);
          const again = await driver.apply(ops);
          assert.ok(again.kind === 'complete');
          assert.ok(again.failures.every(({ code }) => code === 'EEXIST'));
          const failed = again.failures.map(({ index }) => index);
          const half = failed[0] === 0 ? 0 : 500;
          assert.deepEqual(
            failed,
            Array.from({ length: 500 }, (_, i) => half + i),
          );
          assert.equal((await driver.dump(filter())).length, 1000);
        }, file),
    ));

  test('a dump that fails or is cut short rejects', () =>
    withScript('case "$*" in *route*) ip "$@" | head -c 40;; *) exec ip "$@";; esac', (file) =>
      inWorld(async (world, driver) => {
        await driver.apply(routes(world.device, 5).map(add));
        await assert.rejects(driver.dump(filter()), { name: 'RouteDriverError' });
      }, file),
    ));

  test('links that change during a dump make it begin again', () =>
    withScript(
      // The first reading of the routes is followed by a renaming, so the name it shows means nothing any more.
      'case "$*" in "-4 "*route*) ip "$@"; [ -e "$0.done" ] || { touch "$0.done"; ip link set eth0 name other0; };; *) exec ip "$@";; esac',
      (file) =>
        inWorld(async (world, driver) => {
          await driver.apply(routes(world.device, 2).map(add));
          const dump = await driver.dump(filter());
          assert.deepEqual(
            dump.map((r) => r.device),
            [world.device, world.device],
          );
        }, file),
    ));

  test('a dump that is interrupted each time rejects', () =>
    withScript(
      'case "$*" in *route*) echo "Dump was interrupted and may be inconsistent." >&2; echo "[]";; *) exec ip "$@";; esac',
      (file) =>
        inWorld(async (_world, driver) => {
          await assert.rejects(driver.dump(filter()), {
            name: 'RouteDriverError',
            message: /5 dumps/,
          });
        }, file),
    ));

  test('a monitor that joins no group is not taken for listening, and a failed listen leaves nothing', () =>
    withScript(
      'case "$*" in *monitor*) echo "no such thing" >&2; exit 1;; *) exec ip "$@";; esac',
      (file) =>
        inWorld(async (_world, driver) => {
          const listening = driver.listen(filter(), () => {});
          await assert.rejects(listening, { name: 'RouteDriverError', message: /no such thing/ });
          assert.deepEqual(monitors(), []);
          assert.equal(isListening(process.pid, LINKS.groups), false);
          assert.equal(isListening(999_999_999, LINKS.groups), false);
        }, file),
    ));

  test('nothing is missed right after listen, however many links the monitor reads first', async () => {
    const links = Array.from(
      { length: 300 },
      (_, i) => `link add many${i} group 7 type ifb\n`,
    ).join('');
    await run('ip', ['-batch', '-'], { input: links });
    await inWorld(async (world, driver) => {
      for (let round = 0; round < 10; round += 1) {
        const hints: Hint[] = [];
        await driver.listen(filter(), (hint) => hints.push(hint));
        await world.setLink({ name: `again${round}` });
        await until('a link hint', () => hints.some((h) => h.links));
      }
    });
    // One by one each would wait for the kernel's RCU grace period.
    await run('ip', ['link', 'del', 'group', '7']);
  });

  test('a large batch during which names change is unknown, and a dump tells what it did', () =>
    withScript(
      `case "$*" in
*-batch*) [ -e "$0.swapped" ] || { : > "$0.swapped"
  ip link set dev eth0 down; ip link set dev eth0 name eth9; ip link set dev eth9 up; } ;;
esac
exec ip "$@"`,
      (file) =>
        inWorld(async ({ device }, driver) => {
          const ops = Array.from({ length: 100 }, (_, i) =>
            add(route(device, `10.1.${i}.0/24`, '10.10.10.9')),
          );
          const first = await driver.apply(ops);
          assert.equal(first.kind, 'unknown');
          assert.deepEqual(await driver.dump(filter()), [], 'nothing went through another device');
          assert.deepEqual(await driver.apply(ops), { kind: 'complete', failures: [] });
          assert.equal((await driver.dump(filter())).length, 100);
        }, file),
    ));
});
