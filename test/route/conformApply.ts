/** Conformance: what apply does and how it reports. */
import assert from 'node:assert/strict';
import type { OpFailure, RouteOp } from '../../src/route/index.ts';
import type { WorldCase } from './conformance.ts';
import { add, address, append, FAMILIES, prefix, RIVAL, remove, route } from './samples.ts';
import type { World } from './world.ts';

/** Applies and returns the failures as `index CODE`. */
export async function codes(world: World, ...ops: RouteOp[]): Promise<string[]> {
  return (await failures(world, ...ops)).map(({ index, code }) => `${index} ${code}`);
}

async function failures(world: World, ...ops: RouteOp[]): Promise<readonly OpFailure[]> {
  const result = await world.driver.apply(ops);
  assert.ok(result.kind === 'complete', result.kind === 'unknown' ? result.reason : '');
  return result.failures;
}

export function conformApply(test: WorldCase, largeBatch: number): void {
  for (const scene of FAMILIES) {
    const { p, other, gw, gw2, offLink, kernelMetric } = scene;
    const v = `IPv${scene.family}`;
    const line = (protocol: number, via: string = gw, metric: number = kernelMetric) =>
      `${p} via ${via} proto ${protocol} metric ${metric}`;

    test(`${v}: an added route is in the kernel as written, until it is deleted`, async (world) => {
      const r = route(world.device, p, gw);
      assert.deepEqual(await codes(world, add(r)), []);
      assert.deepEqual(await world.list(), [line(77)]);
      assert.deepEqual(await codes(world, remove(r)), []);
      assert.deepEqual(await world.list(), []);
    });

    test(`${v}: an add to a taken key is EEXIST, whoever has it, and changes nothing`, async (world) => {
      await world.foreignAdd({ prefix: prefix(p), gateway: address(gw), device: world.device });
      assert.deepEqual(await codes(world, add(route(world.device, p, gw2))), ['0 EEXIST']);
      assert.deepEqual(await world.list(), [line(3)]);
    });

    test(`${v}: an add of another metric goes in beside a rival's`, async (world) => {
      await world.foreignAdd({ prefix: prefix(p), gateway: address(gw), device: world.device });
      assert.deepEqual(await codes(world, add(route(world.device, p, gw2, { metric: 2000 }))), []);
      assert.deepEqual(await world.list(), [line(3), line(77, gw2, 2000)]);
    });

    test(`${v}: a gateway that is not on-link is refused`, async (world) => {
      const [failure] = await failures(world, add(route(world.device, p, offLink)));
      const expected =
        scene.family === 4
          ? { index: 0, errno: 101, code: 'ENETUNREACH', message: 'Nexthop has invalid gateway' }
          : { index: 0, errno: 113, code: 'EHOSTUNREACH', message: 'No route to host' };
      assert.deepEqual(failure, expected);
      assert.deepEqual(await world.list(), []);
    });

    test(`${v}: a route through a device that is down is refused`, async (world) => {
      await world.setLink({ up: false });
      const expected = scene.family === 4 ? 'ENETUNREACH' : 'EHOSTUNREACH';
      assert.deepEqual(await codes(world, add(route(world.device, p, gw))), [`0 ${expected}`]);
    });

    test(`${v}: a route through a device that does not exist is refused`, async (world) => {
      const [failure] = await failures(world, add(route(4711, p, gw)));
      // IPv4 looks the gateway up through the device and does not say that there is none; `ip` does.
      const expected = scene.family === 4 ? ['ENODEV', 'ENETUNREACH'] : ['ENODEV'];
      assert.ok(failure && expected.includes(failure.code), failure?.code);
    });

    test(`${v}: a delete takes nothing that differs in gateway, protocol, metric, table or device`, async (world) => {
      const r = route(world.device, p, gw, { metric: 7 });
      const wrong = [
        { ...r, gateway: address(gw2) },
        { ...r, protocol: RIVAL },
        { ...r, metric: 8 },
        { ...r, table: 1000 },
        { ...r, device: 4711 },
        { ...r, prefix: prefix(other) },
      ];
      assert.deepEqual(await codes(world, add(r)), []);
      assert.deepEqual(
        await codes(world, ...wrong.map(remove)),
        wrong.map((_, index) => `${index} ESRCH`),
      );
      assert.deepEqual(await world.list(), [line(77, gw, 7)]);
    });

    test(`${v}: a delete leaves a rival's route of the same prefix and metric`, async (world) => {
      const ours = route(world.device, p, gw2);
      await world.foreignAdd({ prefix: prefix(p), gateway: address(gw), device: world.device });
      assert.deepEqual(await codes(world, append(ours), remove(ours)), []);
      assert.deepEqual(await world.list(), [line(3)]);
    });

    test(`${v}: append and exact delete change the gateway without a gap`, async (world) => {
      const before = route(world.device, p, gw);
      const after = route(world.device, p, gw2);
      assert.deepEqual(await codes(world, add(before), append(after)), []);
      assert.deepEqual(await world.list(), [line(77), line(77, gw2)]);
      assert.deepEqual(await codes(world, remove(before)), []);
      assert.deepEqual(await world.list(), [line(77, gw2)]);
    });

    test(`${v}: an append of what is there already is EEXIST`, async (world) => {
      const r = route(world.device, p, gw);
      assert.deepEqual(await codes(world, add(r), append(r)), ['1 EEXIST']);
      assert.deepEqual(await world.list(), [line(77)]);
    });

    test(`${v}: a preferred source must be the host's own`, async (world) => {
      const own = scene.family === 4 ? '10.10.10.104' : 'fd00::104';
      const [failure, ...more] = await failures(
        world,
        add(route(world.device, p, gw, { source: address(offLink) })),
        add(route(world.device, p, gw, { source: address(own) })),
      );
      const message = scene.family === 4 ? 'Invalid prefsrc address' : 'Invalid source address';
      assert.deepEqual(failure, { index: 0, errno: 22, code: 'EINVAL', message });
      assert.deepEqual(more, []);
    });

    test(`${v}: operations are done in order, and a failing one does not stop the rest`, async (world) => {
      const r = route(world.device, p, gw);
      const next = route(world.device, p, gw2);
      const ops = [remove(r), add(r), add(r), remove(r), add(next), remove(r)];
      assert.deepEqual(await codes(world, ...ops), ['0 ESRCH', '2 EEXIST', '5 ESRCH']);
      assert.deepEqual(await world.list(), [line(77, gw2)]);
    });

    test(`${v}: a large batch is done whole, and so is one that fails whole`, async (world) => {
      const routes = Array.from({ length: largeBatch }, (_, i) => {
        const text =
          scene.family === 4
            ? `10.${128 + (i >> 8)}.${i & 255}.0/24`
            : `fd80:${(i + 1).toString(16)}::/64`;
        return route(world.device, text, gw);
      });
      assert.deepEqual(await codes(world, ...routes.map(add)), []);
      assert.equal((await world.list()).length, largeBatch);
      const again = await codes(world, ...routes.map(add));
      assert.deepEqual(
        again,
        routes.map((_, index) => `${index} EEXIST`),
      );
      assert.deepEqual(await codes(world, ...routes.map(remove)), []);
      assert.deepEqual(await world.list(), []);
    });

    test(`${v}: what cannot be encoded is a RangeError with its index and rule, and nothing is sent`, async (world) => {
      const good = route(world.device, p, gw);
      const alien = address(scene.family === 4 ? 'fd00::9' : '10.10.10.9');
      const bad: [RegExp, Partial<typeof good>][] = [
        [/operation 1: metric 4294967296 /, { metric: 4294967296 }],
        [/operation 1: metric -1 /, { metric: -1 }],
        [/operation 1: metric 0.5 /, { metric: 0.5 }],
        [/operation 1: metric NaN /, { metric: Number.NaN }],
        [/operation 1: table 0 /, { table: 0 }],
        [/operation 1: table 4294967296 /, { table: 4294967296 }],
        [/operation 1: protocol 256 /, { protocol: 256 }],
        [/operation 1: protocol 0 /, { protocol: 0 }],
        [/operation 1: device 0 /, { device: 0 }],
        [/operation 1: gateway .* family/, { gateway: alien }],
        [/operation 1: source .* family/, { source: alien }],
        ...badNexthops(scene.family).map((text): [RegExp, Partial<typeof good>] => [
          /operation 1: gateway .* is not unicast/,
          { gateway: address(text) },
        ]),
        ...[-1, 0.5, scene.family === 4 ? 33 : 129].map(
          (length): [RegExp, Partial<typeof good>] => [
            /operation 1: prefix length .* is not within 0 to /,
            { prefix: { ...good.prefix, length } },
          ],
        ),
        ...[1, good.prefix.length - 1].map((length): [RegExp, Partial<typeof good>] => [
          /operation 1: prefix .* has host bits/,
          {
            prefix: { ...prefix(scene.family === 4 ? '10.1.255.0/24' : 'fd01:1:0:1::/64'), length },
          },
        ]),
      ];
      for (const [message, change] of bad) {
        const ops = [add(good), add({ ...good, ...change })];
        await assert.rejects(world.driver.apply(ops), { name: 'RangeError', message });
      }
      for (const kind of ['append', 'delete'] as const)
        for (const [message, change] of bad) {
          const ops = [add(good), { kind, route: { ...good, ...change } }];
          await assert.rejects(world.driver.apply(ops), { name: 'RangeError', message });
        }
      assert.deepEqual(await world.list(), []);
    });

    test(`${v}: the largest numbers that fit are written and read back`, async (world) => {
      const extremes = { metric: 4294967295, protocol: 255, table: 4294967295 };
      const r = route(world.device, p, gw, extremes);
      assert.deepEqual(await codes(world, add(r)), []);
      const [seen] = await world.driver.dump({ table: 4294967295, protocol: 255, within: [] });
      assert.deepEqual(
        { metric: seen?.metric, protocol: seen?.protocol, table: seen?.table },
        extremes,
      );
      assert.deepEqual(await codes(world, remove(r)), []);
    });
  }

  test('an empty batch is complete', async (world) => {
    assert.deepEqual(await codes(world), []);
  });

  test('both families go in one batch', async (world) => {
    const ops = FAMILIES.map(({ p, gw }) => add(route(world.device, p, gw)));
    assert.deepEqual(await codes(world, ...ops), []);
    assert.equal((await world.list()).length, 2);
  });

  test('batches that are asked for at once are done one after the other', async (world) => {
    const r = route(world.device, '10.1.0.0/24', '10.10.10.9');
    const results = await Promise.all([add(r), remove(r), add(r)].map((op) => codes(world, op)));
    assert.deepEqual(results, [[], [], []]);
  });
}

function badNexthops(family: 4 | 6): readonly string[] {
  return family === 4
    ? ['0.0.0.0', '127.0.0.1', '224.0.0.1', '255.255.255.255']
    : ['::', '::1', 'ff02::1'];
}
