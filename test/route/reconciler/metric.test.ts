/** The metric policy: which metric a gateway gets, when all routes move, and that no move leaves a prefix without one. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { prefixOf, v4, v6 } from '../../../src/ip/index.ts';
import { METRIC_LEVELS, RouteMetrics } from '../../../src/route/metric.ts';
import { address, OURS, prefix, World } from './world.ts';

const P = prefix('10.100.1.0/24');
const gateway = (i: number) => v4(0x0a000000 + i);

function with_(count: number, metrics = new RouteMetrics()): RouteMetrics {
  for (let i = metrics.gateways; i < count; i += 1) metrics.moved(undefined, gateway(i));
  for (let i = metrics.gateways; i > count; i -= 1) metrics.moved(gateway(i - 1), undefined);
  return metrics;
}

describe('the metric policy', () => {
  test('spreads from so many gateways on, and back only when they are half as many', () => {
    const metrics = with_(500);
    assert.deepEqual([metrics.turn(), metrics.spread], [false, 0]);
    assert.deepEqual([with_(501, metrics).turn(), metrics.spread], [true, 1024]);
    assert.deepEqual([with_(250, metrics).turn(), metrics.spread], [false, 1024]);
    assert.deepEqual([with_(249, metrics).turn(), metrics.spread], [true, 0]);
    assert.deepEqual([with_(32_001, metrics).turn(), metrics.spread], [true, 16_384]);
    assert.deepEqual([with_(16_000, metrics).turn(), metrics.spread], [false, 16_384]);
    assert.deepEqual([with_(0, metrics).turn(), metrics.spread], [true, 0]);
  });

  test('is told otherwise: 0 for any number, or spread for one', () => {
    const flat = with_(40_000, new RouteMetrics('0'));
    assert.deepEqual([flat.turn(), flat.metricOf(gateway(1))], [false, 0]);
    const spread = with_(1, new RouteMetrics('spread'));
    assert.deepEqual([spread.turn(), spread.spread], [false, 1024]);
    assert.deepEqual([with_(32_001, spread).turn(), spread.spread], [true, 16_384]);
    assert.deepEqual([with_(0, spread).turn(), spread.spread], [true, 1024]);
  });

  test('gives a gateway the same metric each time, within its range, and IPv6 none', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 32 - 1 }), (value) => {
        for (const choice of ['0', 'spread'] as const) {
          const [one, other] = [new RouteMetrics(choice), new RouteMetrics(choice)];
          const metric = one.metricOf(v4(value));
          assert.equal(metric, other.metricOf(v4(value)));
          assert.ok(choice === '0' ? metric === 0 : metric >= 1 && metric <= 1024);
          assert.equal(one.metricOf(v6(BigInt(value))), 0);
        }
      }),
    );
  });

  test('spreads neighbours and strides evenly: no metric has four times its share', () => {
    for (const stride of [1, 2, 4, 256, 1000, 65_536]) {
      const metrics = new RouteMetrics('spread');
      const counts = new Map<number, number>();
      for (let i = 0; i < 16_384; i += 1) {
        const metric = metrics.metricOf(v4((0x0a000000 + i * stride) % 2 ** 32));
        counts.set(metric, (counts.get(metric) ?? 0) + 1);
      }
      assert.ok(
        Math.max(...counts.values()) <= 64,
        `stride ${stride}: ${Math.max(...counts.values())}`,
      );
    }
  });

  test('counts a gateway once, however many prefixes it has, through any moves', () => {
    const move = fc.tuple(fc.nat(5), fc.option(fc.nat(3), { nil: undefined }));
    fc.assert(
      fc.property(fc.array(move, { maxLength: 40 }), (moves) => {
        const metrics = new RouteMetrics();
        const now = new Map<number, number>();
        for (const [key, via] of moves) {
          const before = now.get(key);
          metrics.moved(
            before === undefined ? undefined : gateway(before),
            via === undefined ? undefined : gateway(via),
          );
          if (via === undefined) now.delete(key);
          else now.set(key, via);
        }
        assert.equal(metrics.gateways, new Set(now.values()).size);
      }),
    );
  });

  test('has levels that do not overlap', () => {
    for (const [index, level] of METRIC_LEVELS.entries()) {
      assert.ok(level.below * 2 <= level.above);
      assert.ok(level.below > (METRIC_LEVELS[index - 1]?.above ?? 0) || index === 0);
    }
  });
});

const LEVELS = [{ above: 20, below: 10, metrics: 1024 }];

/** `n` prefixes by `n` gateways, each checked after every operation: once it has a route it always has. */
function fleet(n: number) {
  const metrics = new RouteMetrics('auto', LEVELS);
  const world = new World({ metrics });
  const key = (i: number): string => prefixOf(v4(0x0a640000 + i * 256), 24).text;
  const want = (from: number, to: number, via: (i: number) => string) => {
    const entries = Array.from({ length: to - from }, (_, k) => [key(from + k), via(from + k)]);
    world.want(Object.fromEntries(entries));
  };
  want(0, n, (i) => `10.0.0.${i + 2}`);
  world.run(1000);
  return { world, metrics, key, want };
}

const metricsIn = (world: World): Set<number> =>
  new Set(
    world.kernel
      .routes()
      .filter((r) => r.protocol === OURS)
      .map((r) => r.metric),
  );

describe('crossing the threshold', () => {
  test('moves every route, said once, and back; no operation leaves a prefix without a route', () => {
    const { world, metrics, want, key } = fleet(20);
    assert.deepEqual([...metricsIn(world)], [0]);
    const standing = new Set(world.kernel.routes().map((r) => r.prefix.text));
    const check = (): void => {
      // The fake keeps a journal of single operations: replayed, each prefix keeps at least one row.
      const rows = new Map<string, number>();
      for (const { kind, route, result } of world.kernel.journal) {
        if (result !== 'done') continue;
        const left = (rows.get(route.prefix.text) ?? 0) + (kind === 'delete' ? -1 : 1);
        rows.set(route.prefix.text, left);
        assert.ok(left > 0, `${kind} of ${route.prefix.text} left it without a route`);
      }
      for (const text of standing)
        assert.equal(world.kernel.routes().filter((r) => r.prefix.text === text).length, 1);
    };
    want(20, 21, (i) => `10.0.0.${i + 2}`);
    world.run(1000);
    assert.ok(!metricsIn(world).has(0) && metricsIn(world).size > 10);
    check();
    assert.equal(world.ours().length, 21);
    assert.deepEqual(world.said('metrics'), [{ type: 'metrics', spread: 1024, gateways: 21 }]);
    // Fewer gateways, not fewer prefixes: nothing is lost, so nothing is held.
    want(0, 15, () => '10.0.0.200');
    world.run(1000);
    assert.equal(metrics.gateways, 7);
    assert.deepEqual([...metricsIn(world)], [0]);
    check();
    assert.equal(world.said('metrics').length, 2);
    assert.ok([...world.states.values()].every(({ state }) => state === 'installed'));
    assert.ok(standing.has(key(0)));
  });

  test('a restart between the thresholds goes on with the metrics that stand, whatever comes first', () => {
    for (const dumpFirst of [true, false]) {
      const { world, want } = fleet(21);
      want(15, 21, () => '10.0.0.2');
      world.run(1000);
      assert.ok(!metricsIn(world).has(0));
      const before = world.ours();
      world.restart({ metrics: new RouteMetrics('auto', LEVELS) });
      world.outputs.length = 0;
      if (dumpFirst) world.run(100);
      for (const row of world.kernel.routes().filter((r) => r.protocol === OURS))
        world.want({ [row.prefix.text]: row.gateway?.text }, false);
      world.want({});
      world.run(60_000);
      assert.deepEqual([world.said('apply').length, world.said('metrics').length], [0, 0]);
      assert.deepEqual(world.ours(), before);
    }
  });

  test('leaves IPv6 routes as they are', () => {
    const { world, want } = fleet(20);
    world.want({ 'fd01:0:1::/64': 'fd00::2' });
    world.run(1000);
    const writes = world.kernel.journal.length;
    want(20, 21, (i) => `10.0.0.${i + 2}`);
    world.run(1000);
    const later = world.kernel.journal.slice(writes);
    assert.ok(later.length > 40);
    assert.ok(later.every(({ route }) => route.prefix.address.family === 4));
  });

  test("does not put a route behind somebody's spare: that prefix keeps metric 0 while the spare is there", () => {
    const { world, want, key, metrics } = fleet(20);
    const text = key(0);
    const gatewayOf0 = address('10.0.0.2');
    const spare = { prefix: prefix(text), gateway: address('10.0.0.9'), device: world.eth0 };
    world.kernel.foreignAdd({ ...spare, protocol: 4, metric: 1 });
    want(20, 21, (i) => `10.0.0.${i + 2}`);
    world.run(1000);
    assert.equal(world.state(text), 'installed');
    assert.ok(world.ours().includes(`${text} via 10.0.0.2 metric 0`));
    world.kernel.foreignDelete({ prefix: prefix(text), protocol: 4 });
    world.run(1000);
    assert.ok(world.ours().includes(`${text} via 10.0.0.2 metric ${metrics.metricOf(gatewayOf0)}`));
    assert.equal(world.ours().length, 21);
  });

  test("takes over flannel's routes of metric 0 while it spreads", () => {
    const world = new World({ metrics: new RouteMetrics('spread') });
    world.kernel.foreignAdd({ prefix: P, gateway: address('10.0.0.2'), device: world.eth0 });
    world.want({ [P.text]: '10.0.0.2' });
    world.run(1000);
    const rows = world.kernel.routes().filter((r) => r.prefix.text === P.text);
    assert.deepEqual(
      rows.map((r) => [r.protocol, r.metric > 0]),
      [[OURS, true]],
    );
    assert.equal(world.state(P.text), 'installed');
  });

  test('a held route that returns has the metric of now', () => {
    const { world, want, key, metrics } = fleet(20);
    const gone = Object.fromEntries(Array.from({ length: 15 }, (_, i) => [key(i), undefined]));
    world.want(gone);
    want(20, 30, (i) => `10.0.0.${i + 2}`);
    world.run(1000);
    assert.equal(world.state(key(0)), 'held');
    assert.equal(metrics.spread, 1024, 'held routes count: they are in the kernel');
    want(0, 15, (i) => `10.0.0.${i + 2}`);
    world.run(1000);
    assert.equal(world.ours().length, 30);
    assert.ok(!metricsIn(world).has(0));
  });

  test('a rival that deletes our route of metric 0 before we do costs a dump, and the route is back', () => {
    const { world, want, key } = fleet(20);
    const text = key(3);
    want(20, 21, (i) => `10.0.0.${i + 2}`);
    // The new routes are appended; before the old ones go, somebody takes one of them away.
    world.carryOut();
    world.kernel.foreignDelete({ prefix: prefix(text), protocol: OURS, metric: 0 });
    world.deliver();
    world.run(1000);
    assert.equal(world.ours().filter((line) => line.startsWith(`${text} `)).length, 1);
    assert.equal(world.state(text), 'installed');
    assert.equal(world.ours().length, 21);
  });
});
