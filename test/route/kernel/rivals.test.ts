/** Rivals on the real kernel, forced to come between our dump and our write, and one that never stops. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import process from 'node:process';
import { RouteMetrics, type RouteOp } from '../../../src/route/index.ts';
import { needs } from '../../support/needs.ts';
import { inNetns } from '../../support/netns.ts';
import { until } from '../../support/until.ts';
import { OURS } from '../samples.ts';
import { DRIVERS } from './flips.ts';
import { gateway4, gateway6, ip, prefix4, prefix6, Scene } from './scene.ts';

const LONG = process.env['LONG'] !== undefined;
const FAMILIES = [
  { family: 4, key: prefix4(0), gateway: gateway4, stored: 0 },
  { family: 6, key: prefix6(0), gateway: gateway6, stored: 1024 },
] as const;

inNetns(import.meta.url, needs('root', 'ip', 'unshare'), (test) => {
  for (const driver of DRIVERS) {
    for (const { family, key, gateway, stored } of FAMILIES) {
      const theirs = `${key} via ${gateway(5)} proto 4 metric ${stored}`;
      const replace = `-${family} route replace ${key} via ${gateway(5)} dev eth0 proto static`;

      for (const kind of ['append', 'delete'] as const) {
        const name = `driver ${driver}, IPv${family}: a rival that replaces our route between our dump and our ${kind} stands, and is named`;
        test(name, async () => {
          let armed = false;
          const before = async (ops: readonly RouteOp[]): Promise<void> => {
            if (!armed || !ops.some((op) => op.kind === kind)) return;
            armed = false;
            await ip(replace);
          };
          await Scene.with({ driver, before }, async (scene) => {
            scene.want({ [key]: gateway(0) });
            await until('ours stands', () => scene.states.get(key)?.state === 'installed');
            armed = true;
            scene.want({ [key]: gateway(1) });
            await until('the rival is named', () => scene.states.get(key)?.state === 'conflict');
            assert.equal(armed, false, 'the rival came');
            const reason = new RegExp(`left alone: via ${gateway(5)} dev \\S+ proto static`);
            assert.match(scene.states.get(key)?.reason ?? '', reason);
            await until(
              'only theirs is left',
              async () => (await scene.routes()).join() === theirs,
            );
            await ip(`-${family} route del ${key} proto static`);
            await until('ours is back', () => scene.states.get(key)?.state === 'installed');
            assert.deepEqual(await scene.routes(), [
              `${key} via ${gateway(1)} proto ${OURS} metric ${stored}`,
            ]);
          });
        });
      }

      test(`driver ${driver}, IPv${family}: a rival that comes before our first route stands, and is named`, async () => {
        let armed = true;
        const before = async (): Promise<void> => {
          if (armed) await ip(replace);
          armed = false;
        };
        await Scene.with({ driver, before }, async (scene) => {
          scene.want({ [key]: gateway(0) });
          await until('the rival is named', () => scene.states.get(key)?.state === 'conflict');
          assert.deepEqual(await scene.routes(), [theirs]);
        });
      });
    }

    test(`driver ${driver}: a rival that deletes our route in a loop is contested, said once, answered rarely and outlived`, async () => {
      await Scene.with({ driver }, async (scene) => {
        const [key] = [prefix4(0)];
        scene.want({ [key]: gateway4(0), [prefix4(1)]: gateway4(1) });
        await until('ours stands', () => scene.states.size === 2);
        const loop = `while :; do ip route del ${key} proto ${OURS} 2>/dev/null; done`;
        const rival = spawn('sh', ['-c', loop], { stdio: 'ignore' });
        await until('it is contested', () => scene.told.includes(`${key} contested`));
        let answers = 0;
        scene.onDone = () => {
          answers += 1;
        };
        const end = performance.now() + (LONG ? 30_000 : 3_000);
        await until('the rival has had its time', () => performance.now() > end, 60_000);
        const stopped = once(rival, 'exit');
        rival.kill('SIGKILL');
        await stopped;
        assert.equal(scene.told.filter((line) => line === `${key} contested`).length, 1);
        assert.ok(answers <= (LONG ? 8 : 3), `${answers} answers to a rival that never stops`);
        const back = `${key} via ${gateway4(0)} proto ${OURS} metric 0`;
        await until('the route is back', async () => (await scene.routes()).includes(back), 90_000);
        assert.equal(scene.states.get(prefix4(1))?.state, 'installed');
      });
    });

    test(`driver ${driver}: a rival that takes our route of metric 0 away just before we do has taken it for one look only`, async () => {
      const key = prefix4(0);
      let armed = false;
      let gone = false;
      const before = async (ops: readonly RouteOp[]): Promise<void> => {
        if (!armed || !ops.some((op) => op.kind === 'delete' && op.route.metric === 0)) return;
        armed = false;
        // The kernel takes metric 0 for any: theirs takes the old route, and so ours takes the new one.
        await ip(`route del ${key} proto ${OURS}`);
        gone = true;
      };
      const metrics = new RouteMetrics('auto', [{ above: 2, below: 1, metrics: 1024 }]);
      await Scene.with({ driver, before, metrics }, async (scene) => {
        scene.want({ [key]: gateway4(0), [prefix4(1)]: gateway4(1) });
        await until('two stand', () => scene.states.size === 2);
        armed = true;
        scene.want({ [prefix4(2)]: gateway4(2) });
        await until('the rival came', () => gone);
        const back = `${key} via ${gateway4(0)} proto ${OURS} metric ${metrics.spread === 0 ? 0 : '\\d+'}`;
        const lines = async () =>
          (await scene.routes()).filter((line) => line.startsWith(`${key} `));
        await until('one route is there', async () =>
          new RegExp(`^${back}$`).test((await lines()).join()),
        );
        assert.ok(!(await lines()).join().endsWith('metric 0'));
      });
    });
  }
});
