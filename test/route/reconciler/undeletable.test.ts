/** Rows with our protocol that an exact delete does not find, though dumps go on showing them. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { address, OURS, prefix, World } from './world.ts';

const A = '10.100.1.0/24';
const ESRCH = 3;

/** A world with an old row of ours. */
function worldWithOld(): World {
  const world = new World();
  const gateway = address('10.0.0.9');
  world.kernel.foreignAdd({ prefix: prefix(A), gateway, device: world.eth0, protocol: OURS });
  return world;
}

/** No operation finds what it names, until `works`. */
function stick(world: World): void {
  for (let nth = 1; nth <= 40; nth += 1)
    world.kernel.failures.next({ kind: 'op', errno: ESRCH, nth });
}

function works(world: World): void {
  for (const { kind } of [...world.kernel.failures.waiting]) world.kernel.failures.take(kind);
}

describe('a row that cannot be deleted', () => {
  test('and that nobody wants is said once with that reason, tried ever more slowly, and gone when it works', () => {
    const world = worldWithOld();
    stick(world);
    world.want({});
    world.run(120_000);
    const said = world.said('peer');
    assert.deepEqual(
      said.map(({ state }) => state),
      ['rejected'],
    );
    assert.match(said[0]?.reason ?? '', /cannot be deleted/);
    assert.ok(world.said('apply').length < 15, `${world.said('apply').length} tries`);
    works(world);
    world.run(60_000);
    assert.deepEqual(world.ours(), []);
    assert.equal(world.said('removed').length, 1);
  });

  test('beside the wanted one leaves it installed, with that reason', () => {
    const world = worldWithOld();
    world.want({ [A]: '10.0.0.2' });
    while (world.ours().length < 2) {
      world.carryOut();
      if (world.ours().length < 2) world.deliver();
    }
    stick(world);
    world.run(60_000);
    assert.equal(world.state(A), 'installed');
    assert.match(world.states.get(A)?.reason ?? '', /cannot be deleted/);
    assert.equal(world.said('peer').filter(({ state }) => state === 'contested').length, 0);
    works(world);
    world.run(60_000);
    assert.deepEqual(world.ours(), [`${A} via 10.0.0.2 metric 0`]);
    assert.equal(world.states.get(A)?.reason, 'The route is in place.');
  });
});
