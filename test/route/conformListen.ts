/** Conformance: what a listener hears. Sending a change that is heard is how a case knows that an earlier one was not. */
import assert from 'node:assert/strict';
import type { DumpFilter, Hint } from '../../src/route/index.ts';
import { until } from '../support/until.ts';
import { codes } from './conformApply.ts';
import type { WorldCase } from './conformance.ts';
import { add, address, FAMILIES, filter, prefix, RIVAL, route } from './samples.ts';
import type { World } from './world.ts';

type Kind = keyof Hint;

/** Listens; `heard(kind)` waits for a hint of this kind, and forgets all that came before. */
async function listen(world: World, wanted: DumpFilter) {
  let hints: Hint[] = [];
  await world.driver.listen(wanted, (hint) => hints.push(hint));
  const has = (kind: Kind): boolean => hints.some((hint) => hint[kind]);
  return {
    has,
    count: () => hints.length,
    async heard(kind: Kind): Promise<void> {
      await until(`a hint of ${kind}`, () => has(kind));
      hints = [];
    },
  };
}

export function conformListen(test: WorldCase): void {
  for (const { family, p, other, gw, network } of FAMILIES) {
    const v = `IPv${family}`;
    const second = family === 4 ? '10.55.0.1/24' : 'fd55::1/64';

    test(`${v}: a rival's route inside the prefixes is heard, added and deleted`, async (world) => {
      const ears = await listen(world, filter(network));
      const foreign = {
        prefix: prefix(p),
        gateway: address(gw),
        device: world.device,
        protocol: RIVAL,
      };
      await world.foreignAdd(foreign);
      await ears.heard('routes');
      await world.foreignDelete(foreign);
      await ears.heard('routes');
    });

    test(`${v}: a route of our protocol is heard wherever it is`, async (world) => {
      const ears = await listen(world, filter());
      const foreign = {
        prefix: prefix(other),
        gateway: address(gw),
        device: world.device,
        protocol: 77,
      };
      await world.foreignAdd(foreign);
      await ears.heard('routes');
      await world.foreignDelete(foreign);
      await ears.heard('routes');
    });

    test(`${v}: a rival's route outside the prefixes or in another table is not heard`, async (world) => {
      const ears = await listen(world, filter(network));
      const foreign = { gateway: address(gw), device: world.device };
      await world.foreignAdd({ ...foreign, prefix: prefix(other), protocol: RIVAL });
      await world.foreignAdd({ ...foreign, prefix: prefix(p), protocol: 77, table: 1000 });
      await world.addAddress(second);
      await until('a hint of addresses', () => ears.has('addresses'));
      assert.equal(ears.has('routes'), false);
    });

    test(`${v}: an address is heard, added and removed`, async (world) => {
      const ears = await listen(world, filter());
      await world.addAddress(second);
      await ears.heard('addresses');
      await world.removeAddress(second);
      await ears.heard('addresses');
    });
  }

  test('a link is heard when it goes down, comes up, loses carrier and is renamed', async (world) => {
    const ears = await listen(world, filter());
    for (const change of [
      { up: false },
      { up: true },
      { carrier: false },
      { carrier: true },
      { name: 'uplink' },
    ]) {
      await world.setLink(change);
      await ears.heard('links');
    }
  });

  test('nothing that happens right after listen has resolved is missed', async (world) => {
    const foreign = {
      prefix: prefix('10.1.0.0/24'),
      gateway: address('10.10.10.9'),
      device: world.device,
    };
    for (let round = 0; round < 5; round += 1) {
      const ears = await listen(world, filter('10.1.0.0/16'));
      await world.foreignAdd(foreign);
      await ears.heard('routes');
      await world.foreignDelete(foreign);
    }
  });

  test('a later listen replaces the earlier one', async (world) => {
    const old = await listen(world, filter('10.1.0.0/16'));
    const ears = await listen(world, filter('10.2.0.0/16'));
    const before = old.count();
    const foreign = { gateway: address('10.10.10.9'), device: world.device };
    await world.foreignAdd({ ...foreign, prefix: prefix('10.1.0.0/24') });
    await world.foreignAdd({ ...foreign, prefix: prefix('10.2.0.0/24') });
    await ears.heard('routes');
    await world.setLink({ up: false });
    await ears.heard('links');
    assert.equal(old.count(), before);
  });

  test('many changes come in fewer hints, the last of them included', async (world) => {
    const ears = await listen(world, filter());
    const routes = Array.from({ length: 500 }, (_, i) =>
      route(world.device, `10.${128 + (i >> 8)}.${i & 255}.0/24`, '10.10.10.9'),
    );
    assert.deepEqual(await codes(world, ...routes.map(add)), []);
    await world.setLink({ up: false });
    await until('a hint of links', () => ears.has('links'));
    assert.ok(ears.count() < 500, `${ears.count()} hints`);
  });

  test('nothing is called after close', async (world) => {
    const ears = await listen(world, filter('10.1.0.0/16'));
    await world.driver.close();
    const before = ears.count();
    const foreign = { prefix: prefix('10.1.0.0/24'), gateway: address('10.10.10.9') };
    await world.foreignAdd({ ...foreign, device: world.device });
    await world.setLink({ up: false });
    assert.equal(ears.count(), before);
  });
}
