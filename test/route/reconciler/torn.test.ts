/** IPv6 dumps torn by concurrent changes: a row twice, or none. Nothing real is deleted by them, and nobody is blamed. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
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
});
