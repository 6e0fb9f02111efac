/** The cases of flips.test.ts, short in every run of the tests and long in test/long. */
import assert from 'node:assert/strict';
import console from 'node:console';
import { RouteMetrics } from '../../../src/route/index.ts';
import { needs } from '../../support/needs.ts';
import type { Case } from '../../support/netns.ts';
import { until } from '../../support/until.ts';
import { OURS } from '../samples.ts';
import { gateway4, gateway6, ip, prefix4, prefix6, Scene, startSender } from './scene.ts';

export const DRIVERS =
  needs('native') === undefined ? (['native', 'ip'] as const) : (['ip'] as const);

/** Flips the gateway of one prefix in each family; each flip is over when the old route is gone. */
async function flip(scene: Scene, times: number): Promise<void> {
  const [four, six] = [prefix4(0), prefix6(0)];
  for (let i = 1; i <= times; i += 1) {
    const left = new Set([four, six]);
    const over = new Promise<void>((resolve) => {
      scene.onDone = ({ kind, route }) => {
        if (kind === 'delete') left.delete(route.prefix.text);
        if (left.size === 0) resolve();
      };
    });
    scene.want({ [four]: gateway4(i % 2), [six]: gateway6(i % 2) });
    await over;
  }
}

export function flipCases(
  test: Case,
  times: { readonly native: number; readonly ip: number },
): void {
  for (const driver of DRIVERS) {
    test(`driver ${driver}: a gateway flipped ${times[driver]} times refuses no packet`, async () => {
      await Scene.with({ driver }, async (scene) => {
        const prefixes = [prefix4(0), prefix6(0)];
        scene.want({ [prefix4(0)]: gateway4(0), [prefix6(0)]: gateway6(0) });
        await until('the routes stand', () => scene.states.size === 2 && allInstalled(scene));
        const sender = await startSender(prefixes);
        const start = performance.now();
        await flip(scene, times[driver]);
        const ms = performance.now() - start;
        const { sent, refused, noRoute } = await sender.stop();
        console.log(
          `${driver}: ${times[driver]} flips in ${(ms / 1000).toFixed(1)} s, ${sent} packets sent`,
        );
        assert.deepEqual({ refused, noRoute }, { refused: {}, noRoute: 0 });
        assert.ok(sent > times[driver] * 2, `only ${sent} sent`);
        const last = times[driver] % 2;
        assert.deepEqual(await scene.routes(), [
          `${prefix4(0)} via ${gateway4(last)} proto ${OURS} metric 0`,
          `${prefix6(0)} via ${gateway6(last)} proto ${OURS} metric 1024`,
        ]);
        assert.ok(allInstalled(scene));
      });
    });

    test(`driver ${driver}: the metric threshold crossed both ways refuses no packet`, async () => {
      const metrics = new RouteMetrics('auto');
      await Scene.with({ driver, metrics, gateways: 520 }, async (scene) => {
        const range = (from: number, to: number): number[] =>
          Array.from({ length: to - from }, (_, i) => from + i);
        const want = (indexes: readonly number[], via: (i: number) => string): void =>
          scene.want(Object.fromEntries(indexes.map((i) => [prefix4(i), via(i)])));
        scene.want({ [prefix6(0)]: gateway6(0) });
        want(range(0, 500), gateway4);
        await until('500 stand', () => scene.states.size === 501 && allInstalled(scene));
        assert.equal(metrics.spread, 0);
        const sender = await startSender([...range(0, 500).map(prefix4), prefix6(0)]);
        for (let round = 0; round < 3; round += 1) {
          want(range(0, 510), gateway4);
          const spread = (metric: number): boolean => metric > 0;
          await until('all have a metric', () => metricsAre(scene, 511, spread));
          // Fewer gateways, not fewer prefixes: a loss of half of them would be held.
          want(range(0, 300), () => gateway4(519));
          const flat = (metric: number): boolean => metric === 0 || metric === 1024;
          await until('all have none', () => metricsAre(scene, 511, flat));
        }
        const { sent, refused, noRoute } = await sender.stop();
        assert.deepEqual({ refused, noRoute }, { refused: {}, noRoute: 0 });
        assert.ok(sent > 1000, `only ${sent} sent`);
        assert.ok(allInstalled(scene));
      });
    });
  }

  test('a packet that finds no route is seen by the sender and by the kernel: both can fail', async () => {
    await Scene.with({ driver: 'ip' }, async () => {
      await ip(`route add ${prefix4(0)} via ${gateway4(0)}`);
      await ip(`route add ${prefix6(0)} via ${gateway6(0)}`);
      const sender = await startSender([prefix4(0), prefix6(0)]);
      await ip(`route del ${prefix4(0)}`);
      await ip(`route del ${prefix6(0)}`);
      await ip(`route add ${prefix4(0)} via ${gateway4(0)}`);
      await ip(`route add ${prefix6(0)} via ${gateway6(0)}`);
      const { refused, noRoute } = await sender.stop();
      const count = Object.values(refused).reduce((sum, n) => sum + n, 0);
      assert.ok(count > 0 && noRoute > 0, JSON.stringify({ refused, noRoute }));
    });
  });
}

const allInstalled = (scene: Scene): boolean =>
  [...scene.states.values()].every(({ state }) => state === 'installed');

async function metricsAre(
  scene: Scene,
  count: number,
  wanted: (metric: number) => boolean,
): Promise<boolean> {
  const lines = await scene.routes();
  return (
    lines.length === count &&
    lines.every((line) => wanted(Number(/ metric (\d+)$/.exec(line)?.[1])))
  );
}
