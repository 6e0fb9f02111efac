/** Conformance: what a dump shows. */
import assert from 'node:assert/strict';
import { type KernelRoute, RouteDriverError } from '../../src/route/index.ts';
import { codes } from './conformApply.ts';
import type { WorldCase } from './conformance.ts';
import { add, address, append, FAMILIES, filter, prefix, RIVAL, route } from './samples.ts';
import type { World } from './world.ts';

/** The dump in short: `PREFIX via GATEWAY proto N metric N`, in its order. */
async function shown(world: World, ...within: string[]): Promise<string[]> {
  return (await world.driver.dump(filter(...within))).map(inShort);
}

function inShort(r: KernelRoute): string {
  return `${r.prefix.text} via ${r.gateway?.text ?? 'none'} proto ${r.protocol} metric ${r.metric}`;
}

const MORE = {
  4: [
    'mtu lock 1400',
    'advmss 1300',
    'congctl reno',
    'realms 5',
    'onlink',
    'scope site',
    'nhid 7',
    'encap ip id 100 dst 10.0.0.77',
  ],
  6: [
    'mtu 1400',
    'onlink',
    'expires 600',
    'pref high',
    'nhid 8',
    'encap ip6 id 100 dst fd00::77',
    'encap seg6 mode encap segs fd00::1',
  ],
} as const;

export function conformDump(test: WorldCase): void {
  for (const { family, p, other, gw, gw2, network, kernelMetric } of FAMILIES) {
    const v = `IPv${family}`;
    const line = (protocol: number, via: string, metric: number = kernelMetric) =>
      `${p} via ${via} proto ${protocol} metric ${metric}`;

    test(`${v}: a dump shows ours anywhere, everybody's inside the prefixes asked for, and nothing else`, async (world) => {
      const foreign = { gateway: address(gw), device: world.device, protocol: RIVAL };
      await world.foreignAdd({ ...foreign, prefix: prefix(p) });
      await world.foreignAdd({
        ...foreign,
        prefix: prefix(family === 4 ? '10.3.0.0/24' : 'fd03::/64'),
      });
      await codes(world, add(route(world.device, other, gw)));
      const ours = `${other} via ${gw} proto 77 metric ${kernelMetric}`;
      assert.deepEqual(await shown(world), [ours]);
      assert.deepEqual((await shown(world, network)).sort(), [line(RIVAL, gw), ours].sort());
      assert.deepEqual((await shown(world, p)).sort(), [line(RIVAL, gw), ours].sort());
    });

    test(`${v}: a dump is of one table, and of a table that is not there it is empty`, async (world) => {
      const r = route(world.device, p, gw, { table: 1000 });
      const of = async (table: number) =>
        (await world.driver.dump({ ...filter(), table })).map((each) => each.table);
      assert.deepEqual(await of(1000), []);
      await codes(world, add(r), add({ ...r, table: 1001 }), add({ ...r, table: 254 }));
      assert.deepEqual(await of(1000), [1000]);
      assert.deepEqual(await of(254), [254]);
    });

    test(`${v}: a dump keeps the kernel's order: metric first, then who came first`, async (world) => {
      const foreign = { prefix: prefix(p), device: world.device };
      await codes(world, add(route(world.device, p, gw, { metric: 2000 })));
      await codes(world, add(route(world.device, p, gw, { metric: 1500 })));
      await world.foreignAdd({ ...foreign, gateway: address(gw2), metric: 2000, protocol: 77 });
      assert.deepEqual(await shown(world), [
        line(77, gw, 1500),
        line(77, gw, 2000),
        line(77, gw2, 2000),
      ]);
    });

    test(`${v}: host routes, default routes and preferred sources are read back`, async (world) => {
      const [host, all, own] =
        family === 4
          ? ['10.4.5.6/32', '0.0.0.0/0', '10.10.10.104']
          : ['fd04::5/128', '::/0', 'fd00::104'];
      const source = address(own);
      await codes(
        world,
        add(route(world.device, host, gw, { source })),
        add(route(world.device, all, gw)),
      );
      const dump = await world.driver.dump(filter());
      const sources = dump.map((r) => `${r.prefix.text} src ${r.source?.text}`);
      assert.deepEqual(sources.sort(), [`${host} src ${own}`, `${all} src undefined`].sort());
    });

    test(`${v}: a route with every field is read back whole`, async (world) => {
      const r = route(world.device, p, gw, { metric: 9 });
      await codes(world, add(r));
      assert.deepEqual(await world.driver.dump(filter()), [
        { ...r, type: 1, tos: 0, source: undefined, linkDown: false, more: false },
      ]);
    });

    test(`${v}: a rival's blackhole and connected routes are shown with their type`, async (world) => {
      const connected = family === 4 ? '10.10.10.0/24' : 'fd00::/64';
      await world.foreignAdd({ prefix: prefix(p), type: 6, metric: 1024 });
      const dump = await world.driver.dump(filter(p, connected));
      const short = dump.map((r) => `${r.prefix.text} ${r.type} ${r.gateway?.text} ${r.protocol}`);
      assert.deepEqual(short.sort(), [`${connected} 1 undefined 2`, `${p} 6 undefined 3`].sort());
    });

    test(`${v}: carrier loss keeps the routes and flags them`, async (world) => {
      await codes(world, add(route(world.device, p, gw)));
      await world.setLink({ carrier: false });
      assert.deepEqual(
        (await world.driver.dump(filter())).map((r) => r.linkDown),
        [true],
      );
      await world.setLink({ carrier: true });
      assert.deepEqual(
        (await world.driver.dump(filter())).map((r) => r.linkDown),
        [false],
      );
    });

    test(`${v}: a renamed link keeps its index and its routes`, async (world) => {
      await codes(world, add(route(world.device, p, gw)));
      // Other names that a driver must not mistake: a word of `ip`'s own, another link's index.
      for (const name of ['table', 'if1', 'a"b', 'c#d']) {
        await world.setLink({ name });
        assert.deepEqual(
          (await world.driver.dump(filter())).map((r) => r.device),
          [world.device],
        );
        const next = route(world.device, other, gw);
        assert.deepEqual(await codes(world, add(next), { kind: 'delete', route: next }), []);
      }
    });
  }

  for (const { family, p, gw, gw2 } of FAMILIES) {
    for (const words of MORE[family])
      test(`IPv${family}: a dump tells that a route says more than ours: ${words}`, async (world) => {
        const foreign = { prefix: prefix(p), gateway: address(gw), device: world.device };
        if (!(await world.foreignMore({ ...foreign, metric: 5 }, words))) return;
        await codes(world, add(route(world.device, p, gw2, { metric: 6 })));
        assert.deepEqual(
          (await world.driver.dump(filter(p))).map((r) => [r.prefix.text, r.gateway?.text, r.more]),
          [
            [p, gw, true],
            [p, gw2, false],
          ],
        );
      });

    test(`IPv${family}: of siblings or of routes of one metric, each is told for itself`, async (world) => {
      const foreign = { prefix: prefix(p), device: world.device };
      assert.ok(await world.foreignMore({ ...foreign, gateway: address(gw) }, 'mtu 1400'));
      await world.foreignAdd({ ...foreign, gateway: address(gw2) });
      assert.deepEqual(
        (await world.driver.dump(filter(p))).map((r) => r.more),
        [true, false],
      );
    });
  }

  test('IPv4: a dump tells a type of service', async (world) => {
    const foreign = { prefix: prefix('10.1.0.0/24'), gateway: address('10.10.10.9') };
    await world.foreignAdd({ ...foreign, device: world.device, tos: 4 });
    assert.deepEqual(
      (await world.driver.dump(filter('10.1.0.0/16'))).map((r) => r.tos),
      [4],
    );
  });

  test('IPv6: siblings are rows of their own, with the protocol of the first', async (world) => {
    const p = 'fd01:1::/64';
    await world.foreignAdd({
      prefix: prefix(p),
      gateway: address('fd00::9'),
      device: world.device,
    });
    await codes(world, append(route(world.device, p, 'fd00::8')));
    assert.deepEqual(await shown(world, p), [
      `${p} via fd00::9 proto 3 metric 1024`,
      `${p} via fd00::8 proto 3 metric 1024`,
    ]);
    assert.deepEqual(await shown(world), []);
  });

  test('IPv6: metric 0 is stored as 1024, and deleted as either', async (world) => {
    const r = route(world.device, 'fd01:1::/64', 'fd00::9');
    assert.deepEqual(await codes(world, add(r)), []);
    assert.deepEqual(
      (await world.driver.dump(filter())).map((each) => each.metric),
      [1024],
    );
    const other = { ...r, metric: 5 };
    assert.deepEqual(
      await codes(world, add(other), { kind: 'delete', route: r }, { kind: 'delete', route: r }),
      ['2 ESRCH'],
    );
    assert.deepEqual(
      (await world.driver.dump(filter())).map((each) => each.metric),
      [5],
    );
  });

  test('a closed driver refuses', async (world) => {
    await world.driver.close();
    await assert.rejects(world.driver.dump(filter()), RouteDriverError);
    const op = add(route(world.device, '10.1.0.0/24', '10.10.10.9'));
    await assert.rejects(world.driver.apply([op]), RouteDriverError);
    await assert.rejects(
      world.driver.listen(filter(), () => {}),
      RouteDriverError,
    );
    await world.driver.close();
  });
}
