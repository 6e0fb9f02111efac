/** What the kernel and the driver refuse, links that go and come, how often the kernel is asked. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { World } from './world.ts';

const A = '10.100.1.0/24';
const keys = (n: number): string[] => Array.from({ length: n }, (_, i) => `10.100.${i}.0/24`);

function fleet(n: number): World {
  const world = new World();
  world.want(Object.fromEntries(keys(n).map((key) => [key, '10.0.0.2'])));
  world.run(60_000);
  world.outputs.length = 0;
  return world;
}

describe('an outcome that stays unknown', () => {
  test('is said, tried ever more slowly, and over when a batch is answered', () => {
    const world = fleet(0);
    const armed = 60;
    for (let i = 0; i < armed; i += 1)
      world.kernel.failures.next({ kind: 'unknown', when: 'before' });
    world.want({ [A]: '10.0.0.2' });
    world.run(30_000);
    const batches = world.outputs.filter(({ type }) => type === 'apply').length;
    assert.ok(batches < armed / 2, `${batches} batches in 30 s`);
    const [trouble] = world.said('trouble');
    assert.equal(trouble?.about, 'apply');
    assert.ok(trouble?.reason !== undefined);
    world.run(3_600_000);
    assert.equal(world.state(A), 'installed');
    assert.equal(world.said('trouble').at(-1)?.reason, undefined);
    world.kernel.failures.assertConsumed();
  });
});

describe('a refused route', () => {
  for (const [errno, message, state] of [
    [101, 'Nexthop has invalid gateway.', 'off-link'],
    [113, undefined, 'off-link'],
    [100, undefined, 'link-down'],
    [101, 'Device for nexthop is not up.', 'link-down'],
    [19, undefined, 'link-down'],
    [22, 'Invalid prefsrc address.', 'rejected'],
    [1, undefined, 'rejected'],
  ] as const) {
    test(`with errno ${errno} ${message ?? ''} is ${state}, tried again and forgotten when it works`, () => {
      const world = fleet(0);
      world.kernel.failures.next({ kind: 'op', nth: 1, errno, ...(message && { message }) });
      world.want({ [A]: '10.0.0.2' });
      world.run(100);
      assert.equal(world.state(A), state);
      if (message) assert.match(world.states.get(A)?.reason ?? '', new RegExp(message));
      world.run(1000);
      assert.equal(world.state(A), 'installed');
      world.kernel.failures.assertConsumed();
    });
  }

  test('is tried ever more rarely, up to 30 s apart, and said once', () => {
    const world = fleet(0);
    world.want({ [A]: '192.0.2.1' });
    world.run(600_000);
    const tries = world.kernel.journal.length;
    assert.ok(tries > 20 && tries < 45, `${tries} tries in ten minutes`);
    assert.equal(world.said('peer').filter(({ state }) => state === 'off-link').length, 1);
  });

  test('is tried at once when the link came up between the refusal and its answer', () => {
    const world = fleet(0);
    world.kernel.setLink(world.eth0, { up: false });
    world.run(100);
    world.want({ [A]: '10.0.0.2' });
    world.carryOut();
    world.kernel.setLink(world.eth0, { up: true });
    world.deliverHint();
    world.deliver();
    world.run(100);
    assert.equal(world.state(A), 'installed');
  });

  test('is tried at once when an address comes', () => {
    const world = fleet(0);
    world.want({ [A]: '192.0.2.1' });
    world.run(200_000);
    world.kernel.addAddress(world.eth0, '192.0.2.7/24');
    world.run(30);
    assert.equal(world.state(A), 'installed');
  });

  test('is said once, however often links change and it is tried again', () => {
    const world = fleet(0);
    world.want({ [A]: '192.0.2.1' });
    for (let i = 0; i < 10; i += 1) {
      world.run(100);
      world.kernel.setLink(world.eth1, { up: i % 2 === 1 });
    }
    assert.ok(world.kernel.journal.length >= 10);
    assert.deepEqual(
      world.said('peer').map(({ state }) => state),
      ['pending', 'off-link'],
    );
  });

  test('whose delete fails stays said until it works', () => {
    const world = fleet(1);
    world.kernel.failures.next({ kind: 'op', nth: 1, errno: 1 });
    world.want({ '10.100.0.0/24': undefined });
    world.run(10);
    assert.equal(world.state('10.100.0.0/24'), 'rejected');
    world.run(1000);
    assert.deepEqual(world.ours(), []);
    assert.equal(world.said('removed').length, 1);
  });

  test('whose delete finds nothing is looked for by a dump', () => {
    const world = fleet(1);
    world.want({ '10.100.0.0/24': undefined });
    world.kernel.foreignDelete({
      protocol: 99,
      prefix: world.change(keys(1)[0] ?? '', undefined).prefix,
    });
    world.outputs.length = 0;
    world.run(1000);
    assert.ok(world.said('dump').length > 0);
    assert.equal(world.said('removed').length, 1);
  });
});

describe('a batch that the driver refuses whole', () => {
  test('is halved until the prefix is found that spoils it; the others are installed', () => {
    const world = fleet(0);
    const { kernel } = world;
    const apply = kernel.applyNow.bind(kernel);
    kernel.applyNow = (ops) => {
      if (ops.some((op) => op.route.prefix.text === A)) throw new RangeError('operation is bad');
      return apply(ops);
    };
    world.want(Object.fromEntries(keys(64).map((key) => [key, '10.0.0.2'])));
    world.run(5000);
    assert.equal(world.ours().length, 63);
    assert.deepEqual(world.states.get(A)?.state, 'rejected');
    assert.match(world.states.get(A)?.reason ?? '', /operation is bad/);
    kernel.applyNow = apply;
    world.run(60_000);
    assert.equal(world.ours().length, 64);
    assert.equal(world.said('trouble').at(-1)?.reason, undefined);
  });

  test('is trouble only while there is something to write', () => {
    const world = fleet(1);
    world.want({ '10.100.200.0/24': '10.0.0.2' });
    world.kernel.failures.next({ kind: 'apply' });
    world.run(10);
    assert.match(world.said('trouble').at(-1)?.reason ?? '', /nothing was sent/);
    world.want({ '10.100.200.0/24': undefined });
    world.run(5000);
    world.kernel.failures.assertConsumed();
    assert.equal(world.said('trouble').at(-1)?.reason, undefined);
  });
});

describe('links', () => {
  test('that go down and up bring every route back at once', () => {
    const world = fleet(50);
    world.kernel.setLink(world.eth0, { up: false });
    world.run(5000);
    assert.deepEqual(world.ours(), []);
    world.kernel.setLink(world.eth0, { up: true });
    world.run(45);
    assert.equal(world.ours().length, 50);
    assert.equal(world.state(A), 'installed');
  });

  test('that flap are nobody who contests', () => {
    const world = fleet(3);
    for (let i = 0; i < 20; i += 1) {
      world.kernel.setLink(world.eth0, { up: false });
      world.run(100);
      world.kernel.setLink(world.eth0, { up: true });
      world.run(100);
    }
    assert.equal(world.state(A), 'installed');
    assert.ok(world.said('peer').every(({ state }) => state !== 'contested'));
  });

  test('without carrier keep their routes, marked link-down', () => {
    const world = fleet(3);
    const written = world.kernel.journal.length;
    world.kernel.setLink(world.eth0, { carrier: false });
    world.run(100);
    assert.equal(world.state(A), 'link-down');
    world.kernel.setLink(world.eth0, { carrier: true });
    world.run(100);
    assert.equal(world.state(A), 'installed');
    assert.equal(world.kernel.journal.length, written);
  });
});

describe('dumps', () => {
  test('follow a hint at once when it was calm, then at most every 20 ms', () => {
    const world = fleet(3);
    const started = world.now;
    for (let i = 0; i < 100; i += 1) {
      world.send({ type: 'hint', links: false, addresses: false, routes: true });
      if (i === 0) assert.equal(world.request?.type, 'dump');
      world.run(1);
    }
    assert.equal(world.now - started, 100);
    assert.ok(world.said('dump').length <= 6);
  });

  test('come a second apart in a storm, and at once again after it', () => {
    const world = fleet(3);
    for (let ms = 0; ms < 60_000; ms += 5) {
      world.send({ type: 'hint', links: false, addresses: false, routes: true });
      world.run(5);
    }
    assert.ok(world.said('dump').length < 85, `${world.said('dump').length} dumps in a minute`);
    world.run(5000);
    world.outputs.length = 0;
    world.send({ type: 'hint', links: false, addresses: false, routes: true });
    assert.equal(world.request?.type, 'dump');
  });

  test('stay 20 ms apart while each finds something to do', () => {
    const world = fleet(200);
    for (const key of keys(200)) {
      world.kernel.foreignDelete({ protocol: 99, prefix: world.change(key, undefined).prefix });
      world.run(45);
      assert.equal(world.ours().length, 200);
    }
  });

  test('that are late, or asked for a smaller Network, count for nothing', () => {
    const world = fleet(1);
    world.send({ type: 'hint', links: false, addresses: false, routes: true });
    world.carryOut();
    world.send({ type: 'within', prefixes: [] });
    world.deliver();
    assert.equal(world.state('10.100.0.0/24'), 'installed');
    world.run(100);
    assert.deepEqual(world.said('dump').at(-1)?.filter.within, []);
    const written = world.kernel.journal.length;
    world.send({ type: 'dumped', attempt: 1, routes: [] });
    world.run(1000);
    assert.equal(world.kernel.journal.length, written);
  });
});
