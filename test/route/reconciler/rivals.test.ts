/** Routes of others: left alone, named, taken over only where they say the same. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { PROTOCOL_BOOT } from '../../../src/route/types.ts';
import { address, metricBy, OURS, prefix, World } from './world.ts';

const A = '10.100.1.0/24';

function worldWith(routes: Record<string, string> = { [A]: '10.0.0.2' }): World {
  const world = new World({ deviceName: (index) => `eth${index - 2}` });
  world.want(routes);
  world.run(1000);
  world.outputs.length = 0;
  return world;
}

const rival = (world: World, protocol: number, gateway: string, metric = 0) => ({
  prefix: prefix(A),
  gateway: address(gateway),
  device: world.eth0,
  protocol,
  metric,
});

describe('a rival', () => {
  test('that was there first is a conflict with a name, and ours comes when it goes', () => {
    const world = new World({ deviceName: () => 'eth0' });
    world.kernel.foreignAdd(rival(world, 4, '10.0.0.9'));
    world.want({ [A]: '10.0.0.2' });
    world.run(1000);
    assert.deepEqual(world.ours(), []);
    assert.equal(
      world.states.get(A)?.reason,
      'Another route is in the way and left alone: via 10.0.0.9 dev eth0 proto static metric 0.',
    );
    world.kernel.foreignDelete({ prefix: prefix(A), protocol: 4 });
    world.run(100);
    assert.equal(world.state(A), 'installed');
  });

  test('with a higher metric is not in the way', () => {
    const world = new World();
    world.kernel.foreignAdd(rival(world, 4, '10.0.0.9', 50));
    world.want({ [A]: '10.0.0.2' });
    world.run(1000);
    assert.equal(world.state(A), 'installed');
  });

  test('that comes between our dump and our write is met by EEXIST, then named by a dump', () => {
    const world = worldWith({});
    world.want({ [A]: '10.0.0.2' });
    world.kernel.foreignAdd(rival(world, 16, '10.0.0.9'));
    world.run(1000);
    assert.deepEqual(world.ours(), []);
    assert.match(world.states.get(A)?.reason ?? '', /proto dhcp/);
    assert.equal(world.said('peer').filter(({ state }) => state === 'conflict').length, 1);
  });

  test('that replaces our route between our dump and our change stands, in both families', () => {
    for (const [text, old, next, theirs] of [
      [A, '10.0.0.2', '10.0.0.3', '10.0.0.9'],
      ['fd01:0:1::/64', 'fd00::2', 'fd00::3', 'fd00::9'],
    ] as const) {
      const world = worldWith({ [text]: old });
      world.want({ [text]: next });
      world.kernel.foreignDelete({ prefix: prefix(text), protocol: OURS });
      const gateway = address(theirs);
      world.kernel.foreignAdd({ prefix: prefix(text), gateway, device: world.eth0, protocol: 4 });
      world.run(1000);
      assert.equal(world.state(text), 'conflict');
      const rows = world.kernel.routes().filter((r) => r.prefix.text === text);
      assert.deepEqual(
        rows.map((r) => r.gateway?.text),
        [theirs],
      );
    }
  });

  test('that came behind our old route, with no hint of it, is found by the dump after a change', () => {
    const world = worldWith();
    world.deafen();
    world.kernel.foreignAdd(rival(world, 4, '10.0.0.9'));
    world.want({ [A]: '10.0.0.3' });
    world.run(1000);
    assert.equal(world.state(A), 'conflict');
    assert.deepEqual(world.ours(), []);
  });

  test('inside a Network that has just become known is found before anything is written there', () => {
    const world = new World({ within: [], metrics: metricBy(() => 5) });
    world.kernel.foreignAdd(rival(world, 4, '10.0.0.9'));
    world.want({ [A]: '10.0.0.2' });
    world.carryOut();
    world.send({ type: 'within', prefixes: [prefix('10.100.0.0/16')] });
    world.deliver();
    world.run(1000);
    assert.equal(world.state(A), 'conflict');
    assert.equal(world.said('apply').length, 0);
  });

  test('inside a larger Network is found first, also where a dump has just been', () => {
    const world = new World({ within: [], metrics: metricBy(() => 5) });
    world.kernel.foreignAdd(rival(world, 4, '10.0.0.9'));
    world.want({});
    world.run(1000);
    world.send({ type: 'hint', links: false, addresses: false, routes: true });
    world.carryOut();
    world.deliver();
    world.send({ type: 'within', prefixes: [prefix('10.100.0.0/16')] });
    world.want({ [A]: '10.0.0.2' });
    assert.equal(world.state(A), 'pending');
    world.run(1000);
    assert.equal(world.state(A), 'conflict');
    assert.equal(world.said('apply').length, 0);
  });

  test('that says what ours says and more, as an mtu, is left alone: taken over or removed it would be lost', () => {
    for (const protocol of [PROTOCOL_BOOT, OURS])
      for (const text of [A, 'fd01:0:1::/64']) {
        const gateway = text === A ? '10.0.0.2' : 'fd00::2';
        const world = new World();
        const theirs = { prefix: prefix(text), gateway: address(gateway), protocol, more: true };
        world.kernel.foreignAdd({ ...theirs, device: world.eth0 });
        world.want({ [text]: gateway });
        world.run(1000);
        assert.equal(world.state(text), 'conflict');
        assert.match(world.states.get(text)?.reason ?? '', /metric \d+ with options of its own\.$/);
        world.want({});
        world.run(60_000);
        const rows = world.kernel.routes().filter((r) => r.prefix.text === text);
        assert.deepEqual(
          rows.map((r) => [r.protocol, r.more]),
          [[protocol, true]],
        );
        assert.equal(world.said('apply').length, 0);
      }
  });

  test('with our protocol and a gateway of the other family is left alone, and keeps nobody waiting', () => {
    const world = new World();
    const gateway = address('fd00::9');
    world.kernel.foreignAdd({ prefix: prefix(A), gateway, device: world.eth0, protocol: OURS });
    world.want({ '10.100.2.0/24': '10.0.0.2' });
    world.run(60_000);
    assert.equal(world.state('10.100.2.0/24'), 'installed');
    assert.equal(world.said('apply').length, 1);
    assert.equal(world.said('trouble').length, 0);
  });

  test('of a wanted prefix without a gateway is named by its type', () => {
    const world = new World();
    world.kernel.foreignAdd({ prefix: prefix(A), type: 6, protocol: 4 });
    world.want({ [A]: '10.0.0.2' });
    world.run(100);
    assert.match(world.states.get(A)?.reason ?? '', /: blackhole proto static metric 0\.$/);
  });

  test('that deletes our route for a minute is said once, not fought, and forgotten when it stops', () => {
    const world = worldWith();
    const written = world.kernel.journal.length;
    for (let ms = 0; ms < 60_000; ms += 10) {
      world.kernel.foreignDelete({ prefix: prefix(A), protocol: OURS });
      world.run(10);
    }
    assert.equal(world.said('peer').filter(({ state }) => state === 'contested').length, 1);
    assert.ok(world.kernel.journal.length - written < 30);
    world.run(60_000);
    assert.equal(world.state(A), 'installed');
    assert.deepEqual(world.ours(), [`${A} via 10.0.0.2 metric 0`]);
  });

  test("that stands beside our IPv6 route is found out by a delete that finds nothing, and is nobody's to touch", () => {
    const six = prefix('fd01:0:1::/64');
    const world = worldWith({ [six.text]: 'fd00::2' });
    world.kernel.foreignAdd({
      prefix: six,
      gateway: address('fd00::9'),
      device: world.eth0,
      protocol: 4,
    });
    world.run(1000);
    const rows = world.kernel.routes().filter((r) => r.prefix.text === six.text);
    assert.deepEqual(
      rows.map((r) => r.protocol),
      [4],
    );
    assert.equal(world.state(six.text), 'conflict');
  });
});

describe('a route of proto boot', () => {
  test('that says the same is taken over: ours stands before theirs goes', () => {
    const world = new World();
    world.kernel.foreignAdd(rival(world, PROTOCOL_BOOT, '10.0.0.2'));
    world.want({ [A]: '10.0.0.2' });
    world.run(1000);
    const rows = world.kernel.routes().filter((r) => r.prefix.text === A);
    assert.deepEqual(
      rows.map((r) => r.protocol),
      [OURS],
    );
    assert.equal(world.state(A), 'installed');
  });

  test('that says the same stays while ours cannot be added', () => {
    const world = new World();
    world.kernel.foreignAdd(rival(world, PROTOCOL_BOOT, '192.0.2.1'));
    world.want({ [A]: '192.0.2.1' });
    world.run(100_000);
    const rows = world.kernel.routes().filter((r) => r.prefix.text === A);
    assert.deepEqual(
      rows.map((r) => r.protocol),
      [PROTOCOL_BOOT],
    );
    assert.equal(world.state(A), 'off-link');
  });

  test('via another gateway is a conflict; one that nobody wants is left alone', () => {
    const world = new World();
    world.kernel.foreignAdd(rival(world, PROTOCOL_BOOT, '10.0.0.9'));
    world.kernel.foreignAdd({
      ...rival(world, PROTOCOL_BOOT, '10.0.0.9'),
      prefix: prefix('10.100.9.0/24'),
    });
    world.want({ [A]: '10.0.0.2' });
    world.run(1000);
    assert.equal(world.state(A), 'conflict');
    assert.equal(world.kernel.routes().filter((r) => r.protocol === PROTOCOL_BOOT).length, 2);
  });

  test('is left alone where the kernel could not tell it from a second one', () => {
    const world = new World();
    world.kernel.foreignAdd(rival(world, PROTOCOL_BOOT, '10.0.0.2', 0));
    world.kernel.foreignAdd(rival(world, PROTOCOL_BOOT, '10.0.0.2', 5));
    world.want({ [A]: '10.0.0.2' });
    world.run(1000);
    assert.equal(world.state(A), 'conflict');
    assert.equal(world.kernel.routes().filter((r) => r.protocol === PROTOCOL_BOOT).length, 2);
  });

  test('in IPv6 goes only for a route that is surely ours, not for a sibling that looks like it', () => {
    const world = new World();
    const six = prefix('fd01:0:1::/64');
    const row = (gateway: string, protocol: number, metric: number) =>
      world.kernel.foreignAdd({
        prefix: six,
        gateway: address(gateway),
        device: world.eth0,
        protocol,
        metric,
      });
    row('fd00::9', OURS, 5);
    row('fd00::2', PROTOCOL_BOOT, 5);
    row('fd00::2', PROTOCOL_BOOT, 1024);
    world.want({ [six.text]: 'fd00::2' });
    world.run(60_000);
    // That the one at 1024 went only after ours had been put beside it, the world itself has checked.
    const left = world.kernel.routes().filter((r) => r.prefix.text === six.text);
    assert.deepEqual(
      left.map((r) => [r.protocol, r.metric]),
      [[PROTOCOL_BOOT, 5]],
    );
    assert.equal(world.state(six.text), 'conflict');
  });
});
