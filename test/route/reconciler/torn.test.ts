/** IPv6 dumps torn by concurrent changes: a row twice, or none. Nothing real is deleted by them, and nobody is blamed. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { address, OURS, prefix, World } from './world.ts';

const SIX = 'fd01:0:1::/64';
const HINT = { type: 'hint', links: false, addresses: false, routes: true } as const;

function worldWith(): World {
  const world = new World();
  world.want({ [SIX]: 'fd00::2' });
  world.run(1000);
  assert.equal(world.state(SIX), 'installed');
  world.outputs.length = 0;
  return world;
}

describe('a torn dump', () => {
  test('that shows our only route twice deletes nothing', () => {
    const world = worldWith();
    world.tear = { key: SIX, metric: 1024, shows: 'twice' };
    world.send(HINT);
    world.run(1000);
    assert.equal(world.tear, undefined, 'it was shown');
    assert.deepEqual(world.said('apply'), []);
    assert.deepEqual(world.said('peer'), []);
  });

  test('that shows it twice, up and without carrier, deletes nothing either', () => {
    const world = worldWith();
    const [row] = world.kernel.routes().filter(({ prefix: p }) => p.text === SIX);
    assert.ok(row);
    world.send(HINT);
    const { request } = world;
    assert.ok(request);
    world.request = undefined;
    const routes = [row, { ...row, linkDown: true }];
    world.send({ type: 'dumped', attempt: request.attempt, routes });
    assert.deepEqual(world.said('apply'), []);
  });

  test("that shows somebody's route twice does not make one of them ours", () => {
    const world = new World();
    const route = { prefix: prefix(SIX), gateway: address('fd00::2'), device: world.eth0 };
    world.kernel.foreignAdd({ ...route, protocol: 3 });
    world.tear = { key: SIX, metric: 1024, shows: 'twice' };
    // The world itself fails if the route goes before ours stands.
    world.want({ [SIX]: 'fd00::2' });
    world.run(1000);
    assert.deepEqual(
      world.kernel
        .routes()
        .map(({ protocol }) => protocol)
        .filter((p) => p === 3 || p === OURS),
      [OURS],
    );
  });

  test('that lacks it, again and again, is no contest: the route stood all the time', () => {
    const world = worldWith();
    const states: string[] = [];
    for (let i = 0; i < 20; i += 1) {
      world.tear = { key: SIX, metric: 1024, shows: 'never' };
      world.send(HINT);
      world.run(500);
      states.push(world.state(SIX) ?? 'none');
    }
    assert.deepEqual(new Set(states), new Set(['installed']));
    assert.deepEqual(
      world.said('peer').filter(({ state }) => state === 'contested'),
      [],
    );
    assert.equal(world.ours().length, 1);
  });

  test('that lacks it while its gateway changes: the old one goes when the new one stands, after another dump', () => {
    const world = worldWith();
    world.tear = { key: SIX, metric: 1024, shows: 'never' };
    world.send(HINT);
    world.carryOut();
    world.want({ [SIX]: 'fd00::3' });
    world.run(1000);
    assert.equal(world.tear, undefined, 'it was shown');
    const kinds = world.said('apply').map(({ ops }) => ops.map(({ kind }) => kind).join(' '));
    assert.deepEqual(kinds, ['add', 'append', 'delete']);
    assert.deepEqual(world.ours(), [`${SIX} via fd00::3 metric 1024`]);
    assert.equal(world.state(SIX), 'installed');
  });

  test("that lacks somebody's route ends in a conflict with it", () => {
    const world = new World();
    const route = { prefix: prefix(SIX), gateway: address('fd00::2'), device: world.eth0 };
    world.kernel.foreignAdd({ ...route, protocol: 42 });
    world.tear = { key: SIX, metric: 1024, shows: 'never' };
    world.want({ [SIX]: 'fd00::3' });
    world.run(1000);
    assert.equal(world.tear, undefined, 'it was shown');
    assert.equal(world.state(SIX), 'conflict');
    assert.deepEqual(world.ours(), []);
  });

  test('that lacks any of many, whatever is wanted meanwhile, harms no route and is put right by the next', () => {
    const keys = Array.from({ length: 6 }, (_, i) => `fd01:0:${i + 1}::/64`);
    const each = <T>(what: fc.Arbitrary<T>) => fc.tuple(...keys.map(() => what));
    const gateways = fc.constantFrom(undefined, 'fd00::2', 'fd00::3');
    fc.assert(
      fc.property(
        each(
          fc.record({
            foreign: fc.boolean(),
            lacks: fc.boolean(),
            before: gateways,
            after: gateways,
          }),
        ),
        (rows) => {
          const world = new World();
          const wanted = (when: 'before' | 'after') =>
            Object.fromEntries(keys.map((key, i) => [key, rows[i]?.[when]]));
          keys.forEach((key, i) => {
            if (!rows[i]?.foreign) return;
            const route = { prefix: prefix(key), gateway: address('fd00::4'), device: world.eth0 };
            world.kernel.foreignAdd({ ...route, protocol: 42 });
          });
          world.want(wanted('before'));
          world.run(1000);
          world.send(HINT);
          const { request } = world;
          assert.equal(request?.type, 'dump');
          world.request = undefined;
          const lacking = new Set(keys.filter((_, i) => rows[i]?.lacks));
          const routes = world.kernel.routes().filter((row) => !lacking.has(row.prefix.text));
          world.send({ type: 'dumped', attempt: request.attempt, routes });
          world.want(wanted('after'));
          // Should that be most of them, it is held otherwise.
          world.send({ type: 'confirm' });
          world.run(1000);
          world.send(HINT);
          world.run(1000);
          const ours = keys.flatMap((key, i) => {
            const gateway = rows[i]?.foreign ? undefined : rows[i]?.after;
            return gateway === undefined ? [] : [`${key} via ${gateway} metric 1024`];
          });
          assert.deepEqual(world.ours(), ours);
          const foreign = world.kernel.routes().filter(({ protocol }) => protocol === 42);
          assert.equal(foreign.length, rows.filter((row) => row.foreign).length);
        },
      ),
      { numRuns: 200 },
    );
  });
});
