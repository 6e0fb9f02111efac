/** The ip driver leaves routes unheard while it writes a large batch, and nothing that happens meanwhile is missed. */
import assert from 'node:assert/strict';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import type { Hint } from '../../../src/route/index.ts';
import { collectingLog } from '../../support/log.ts';
import { needs } from '../../support/needs.ts';
import { inNetns } from '../../support/netns.ts';
import { until } from '../../support/until.ts';
import { add, filter, remove } from '../samples.ts';
import { inWorld, monitors, routes, withScript } from './processes.ts';

/** A driver whose `ip` waits in each large batch until `go()`. */
function withSlowBatch(
  body: (file: string, batch: { begun: () => boolean; go: () => void }) => Promise<void>,
): Promise<void> {
  const wait = 'until [ -e "$0.go" ]; do sleep 0.01; done';
  return withScript(`case "$1" in -force) : > "$0.begun"; ${wait};; esac\nexec ip "$@"`, (file) =>
    body(file, {
      begun: () => existsSync(`${file}.begun`),
      go: () => writeFileSync(`${file}.go`, ''),
    }),
  );
}

const LARGE = 1000;

inNetns(import.meta.url, needs('root', 'ip', 'unshare', 'setpriv'), (test) => {
  test('routes are unheard during a large batch and count as changed afterwards; no link does', () =>
    withSlowBatch(async (file, batch) => {
      const log = collectingLog();
      await inWorld(
        async ({ device }, driver) => {
          const hints: Hint[] = [];
          await driver.listen(filter(), (hint) => hints.push(hint));
          const [links] = monitors('link');
          const [before] = monitors('route');
          const done = driver.apply(routes(device, LARGE).map(add));
          await until('the batch has begun', batch.begun);
          await until('routes are unheard', () => monitors('route').length === 0);
          assert.deepEqual(monitors('link'), [links]);
          assert.equal(hints.length, 0);
          batch.go();
          assert.deepEqual(await done, { kind: 'complete', failures: [] });
          await until('routes count as changed', () => hints.some((hint) => hint.routes));
          assert.notDeepEqual(monitors('route'), [before]);
          assert.equal(monitors('route').length, 1);
          assert.ok(hints.every((hint) => !hint.links && !hint.addresses));
          const heard = hints.length;
          await driver.apply(routes(device, 1).map(remove));
          await until('routes are heard again', () => hints.length > heard);
          assert.deepEqual(
            log.lines.filter((line) => line.startsWith('warn')),
            [],
          );
        },
        file,
        log,
      );
    }));

  test('a link that changes during a large batch is heard at once', () =>
    withSlowBatch(async (file, batch) => {
      await inWorld(async (world, driver) => {
        const hints: Hint[] = [];
        await driver.listen(filter(), (hint) => hints.push(hint));
        const done = driver.apply(routes(world.device, LARGE).map(add));
        await until('the batch has begun', batch.begun);
        await world.setLink({ carrier: false });
        await until('a link hint', () => hints.some((hint) => hint.links));
        batch.go();
        await done;
      }, file);
    }));

  test('a small batch leaves routes heard', () =>
    withSlowBatch(async (file, batch) => {
      await inWorld(async ({ device }, driver) => {
        const hints: Hint[] = [];
        await driver.listen(filter(), (hint) => hints.push(hint));
        const before = monitors();
        const done = driver.apply(routes(device, LARGE - 1).map(add));
        await until('the batch has begun', batch.begun);
        assert.deepEqual(monitors(), before);
        batch.go();
        await done;
        await until('our own routes are heard', () => hints.some((hint) => hint.routes));
        assert.deepEqual(monitors(), before);
      }, file);
    }));

  test('a driver closed during a large batch ends it, hears nothing more and leaves no monitor', () =>
    withSlowBatch(async (file, batch) => {
      await inWorld(async ({ device }, driver) => {
        const hints: Hint[] = [];
        await driver.listen(filter(), (hint) => hints.push(hint));
        const done = driver.apply(routes(device, LARGE).map(add));
        await until('the batch has begun', batch.begun);
        const closed = driver.close();
        batch.go();
        assert.deepEqual(await done, { kind: 'complete', failures: [] });
        await closed;
        assert.deepEqual(monitors(), []);
        assert.equal(hints.length, 0);
      }, file);
    }));

  test('a later listen during a large batch hears what happens from then on', () =>
    withSlowBatch(async (file, batch) => {
      await inWorld(async (world, driver) => {
        await driver.listen(filter(), () => {});
        const done = driver.apply(routes(world.device, LARGE).map(add));
        await until('the batch has begun', batch.begun);
        const hints: Hint[] = [];
        await driver.listen(filter(), (hint) => hints.push(hint));
        batch.go();
        await done;
        await until('our own routes are heard', () => hints.some((hint) => hint.routes));
        assert.equal(monitors('route').length, 1);
        assert.equal(monitors('link').length, 1);
      }, file);
    }));

  test('routes that cannot be heard again are said, count as changed, and are tried again', () =>
    withScript(
      'case "$*" in *monitor*route) [ ! -e "$0.deaf" ] || { echo "no such thing" >&2; exit 1; };; esac\nexec ip "$@"',
      async (file) => {
        const log = collectingLog();
        await inWorld(
          async ({ device }, driver) => {
            const hints: Hint[] = [];
            await driver.listen(filter(), (hint) => hints.push(hint));
            const everything = () => hints.some((h) => h.links && h.addresses && h.routes);
            writeFileSync(`${file}.deaf`, '');
            await driver.apply(routes(device, LARGE).map(add));
            await until('everything may have changed', everything);
            await until('it is said', () =>
              log.lines.some((line) => line.includes('no such thing')),
            );
            hints.length = 0;
            rmSync(`${file}.deaf`);
            await until('it is heard again', everything);
            assert.equal(monitors('route').length, 1);
          },
          file,
          log,
        );
      },
    ));
});
