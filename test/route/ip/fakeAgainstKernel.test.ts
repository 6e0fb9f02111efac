/** Random batches and events on the fake and on the real kernel: the same outcomes, the same routes in the same order. */
import assert from 'node:assert/strict';
import process from 'node:process';
import fc from 'fast-check';
import type { RouteOp } from '../../../src/route/index.ts';
import { openIpDriver } from '../../../src/route/ip/index.ts';
import { silentLog } from '../../support/log.ts';
import { needs } from '../../support/needs.ts';
import { inNetns } from '../../support/netns.ts';
import { FAMILIES, filter, OURS, RIVAL, route } from '../samples.ts';
import { fakeWorld, kernelWorld, type World } from '../world.ts';

type Step =
  | { readonly type: 'batch'; readonly ops: readonly Wish[] }
  | { readonly type: 'link'; readonly change: { up?: boolean; carrier?: boolean } }
  | { readonly type: 'address'; readonly text: string };

/** An operation before the world's device is known; printed as it is when the two kernels differ. */
interface Wish {
  readonly kind: RouteOp['kind'];
  readonly scene: (typeof FAMILIES)[number];
  readonly second: boolean;
  readonly gateway: 'gw' | 'gw2' | 'offLink';
  readonly metric: number;
  readonly protocol: number;
}

const wish: fc.Arbitrary<Wish> = fc.record({
  kind: fc.constantFrom('add', 'append', 'append', 'delete', 'delete'),
  scene: fc.constantFrom(...FAMILIES),
  second: fc.boolean(),
  gateway: fc.constantFrom('gw', 'gw', 'gw2', 'gw2', 'offLink'),
  metric: fc.constantFrom(0, 0, 5, 1024),
  protocol: fc.constantFrom(OURS, OURS, RIVAL),
});

function opOf(device: number, { kind, scene, second, gateway, metric, protocol }: Wish): RouteOp {
  const prefix = second ? scene.other : scene.p;
  return { kind, route: route(device, prefix, scene[gateway], { metric, protocol }) };
}

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.array(wish, { maxLength: 12 }).map((ops): Step => ({ type: 'batch', ops })),
  },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom({ carrier: false }, { carrier: true })
      .map((change): Step => ({ type: 'link', change })),
  },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom('10.99.0.104/24', 'fd99::104/64')
      .map((text): Step => ({ type: 'address', text })),
  },
);

/** Does a step and tells all that can be seen of it. */
async function seen(world: World, one: Step, addresses: Set<string>): Promise<unknown> {
  let failures: unknown;
  if (one.type === 'batch') {
    const result = await world.driver.apply(one.ops.map((each) => opOf(world.device, each)));
    assert.ok(result.kind === 'complete');
    failures = result.failures;
  } else if (one.type === 'link') {
    await world.setLink(one.change);
  } else if (addresses.delete(one.text)) {
    await world.removeAddress(one.text);
  } else {
    addresses.add(one.text);
    await world.addAddress(one.text);
  }
  const dump = await world.driver.dump(filter('10.0.0.0/8', 'fd00::/8'));
  const routes = dump
    .filter((r) => r.gateway !== undefined)
    .map((r) => `${r.prefix.text} ${r.gateway?.text} ${r.protocol} ${r.metric} ${r.linkDown}`);
  // The order among prefixes means nothing; a stable sort by prefix keeps the order within each.
  const byPrefix = routes.sort((a, b) => prefixOf(a).localeCompare(prefixOf(b)));
  return { failures, routes: byPrefix };
}

const prefixOf = (line: string): string => line.slice(0, line.indexOf(' '));

inNetns(import.meta.url, needs('root', 'ip', 'unshare'), (test) => {
  test('the fake kernel and the real one cannot be told apart', async () => {
    const { SEED, RUNS } = process.env;
    const seed = Number(SEED ?? 20_261_121);
    const numRuns = Number(RUNS ?? 12);
    const property = fc.asyncProperty(
      fc.array(step, { minLength: 3, maxLength: 12 }),
      async (steps) => {
        const [fake, real] = [
          await fakeWorld(),
          await kernelWorld(() => openIpDriver({ log: silentLog })),
        ];
        try {
          const [fakeAddresses, realAddresses] = [new Set<string>(), new Set<string>()];
          for (const one of steps) {
            const expected = await seen(real, one, realAddresses);
            assert.deepEqual(await seen(fake, one, fakeAddresses), expected);
          }
        } finally {
          await fake.close();
          await real.close();
        }
      },
    );
    // Each try costs the real kernel's time: the seed replays a failure, so it is not made smaller.
    await fc.assert(property, { seed, numRuns, endOnFailure: true });
  });
});
