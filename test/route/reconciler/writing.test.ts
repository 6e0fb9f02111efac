/** What is written, when, and in which order. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { address, metricBy, OURS, prefix, World } from './world.ts';

const A = '10.100.1.0/24';
const B = '10.100.2.0/24';

/** A world at rest in which A is installed. */
function settled(options: ConstructorParameters<typeof World>[0] = {}): World {
  const world = new World(options);
  world.want({ [A]: '10.0.0.2' });
  world.run(1000);
  world.outputs.length = 0;
  return world;
}

const opsOf = (world: World): string[] =>
  world
    .said('apply')
    .map(({ ops }) => ops.map((op) => `${op.kind} ${op.route.gateway.text}`).join(', '));

describe('before both views are known', () => {
  test('the first thing is a dump, and nothing is written until it came', () => {
    const world = new World();
    world.want({ [A]: '10.0.0.2' });
    assert.equal(world.request?.type, 'dump');
    assert.equal(world.said('apply').length, 0);
    world.run(100);
    assert.deepEqual(world.ours(), [`${A} via 10.0.0.2 metric 0`]);
    assert.equal(world.state(A), 'installed');
  });

  test('a dump that fails is tried again, said once, and said to be over', () => {
    const world = new World();
    world.kernel.failures.next({ kind: 'dump' });
    world.want({ [A]: '10.0.0.2' });
    world.run(100);
    assert.deepEqual(world.ours(), []);
    world.run(1000);
    assert.deepEqual(world.ours(), [`${A} via 10.0.0.2 metric 0`]);
    assert.equal(world.said('trouble').length, 2);
    assert.equal(world.said('trouble')[1]?.reason, undefined);
    world.kernel.failures.assertConsumed();
  });

  test('routes are added on an incomplete view of the leases, none is removed or changed', () => {
    const world = settled();
    world.restart();
    world.want({ [A]: '10.0.0.3', [B]: '10.0.0.3' }, false);
    world.run(1000);
    assert.deepEqual(world.ours(), [`${A} via 10.0.0.2 metric 0`, `${B} via 10.0.0.3 metric 0`]);
    assert.equal(world.state(A), 'pending');
    assert.equal(world.said('settled').at(-1)?.complete, false);
    world.want({}, true);
    world.run(1000);
    assert.deepEqual(world.ours(), [`${A} via 10.0.0.3 metric 0`, `${B} via 10.0.0.3 metric 0`]);
  });

  test('after the first complete view our routes that nobody wants go, also outside Network', () => {
    const world = settled();
    world.restart();
    const far = prefix('172.30.0.0/24');
    const gateway = address('10.0.0.9');
    world.kernel.foreignAdd({ prefix: far, gateway, device: world.eth0, protocol: OURS });
    world.want({ [B]: '10.0.0.3' }, false);
    world.run(1000);
    assert.equal(world.ours().length, 3);
    world.want({}, true);
    world.run(1000);
    assert.deepEqual(world.ours(), [`${B} via 10.0.0.3 metric 0`]);
  });

  test('a restart with nothing changed writes nothing', () => {
    const world = settled();
    world.restart();
    const written = world.kernel.journal.length;
    world.want({ [A]: '10.0.0.2' });
    world.run(60_000);
    assert.equal(world.kernel.journal.length, written);
    assert.equal(world.said('settled').at(-1)?.writes, 0);
  });
});

describe('a change', () => {
  test('appends the new route, and deletes the old one once the new one stands', () => {
    const world = settled();
    world.want({ [A]: '10.0.0.3' });
    world.run(1000);
    assert.deepEqual(opsOf(world), ['append 10.0.0.3', 'delete 10.0.0.2']);
    assert.deepEqual(world.ours(), [`${A} via 10.0.0.3 metric 0`]);
  });

  test('that the kernel refuses leaves the old route in place', () => {
    const world = settled();
    world.want({ [A]: '192.0.2.1' });
    world.run(1000);
    assert.deepEqual(world.ours(), [`${A} via 10.0.0.2 metric 0`]);
    assert.equal(world.state(A), 'off-link');
    assert.match(world.states.get(A)?.reason ?? '', /Nexthop has invalid gateway/);
  });

  test('of the metric is a change like any other', () => {
    let metric = 0;
    const world = settled({ metrics: metricBy(() => metric) });
    metric = 7;
    world.want({ [A]: '10.0.0.2' });
    world.run(1000);
    assert.deepEqual(world.ours(), [`${A} via 10.0.0.2 metric 7`]);
  });

  test('of the preferred source works in both families', () => {
    const world = settled();
    const source = (text: string, gateway: string, src: string) => ({
      prefix: prefix(text),
      route: { gateway: address(gateway), device: world.eth0, source: address(src) },
    });
    const six = 'fd01:0:1::/64';
    world.want({ [six]: 'fd00::2' });
    world.run(100);
    const changes = [source(A, '10.0.0.2', '10.0.0.1'), source(six, 'fd00::2', 'fd00::1')];
    world.send({ type: 'desired', changes, complete: true });
    world.run(1000);
    const sources = world.kernel.routes().filter((r) => r.protocol === OURS);
    assert.deepEqual(sources.map((r) => r.source?.text).sort(), ['10.0.0.1', 'fd00::1']);
    assert.equal(world.said('settled').at(-1)?.kernel, 2);
  });

  test('while a batch is in flight counts: the old outcome does not mark the new wish', () => {
    const world = new World();
    world.want({});
    world.run(100);
    world.want({ [A]: '192.0.2.1' });
    world.carryOut();
    world.want({ [A]: '10.0.0.2' });
    world.outputs.length = 0;
    world.deliver();
    world.run(10);
    assert.equal(world.state(A), 'installed');
    assert.ok(world.said('peer').every(({ state }) => state !== 'off-link'));
  });

  test('back and forth while a batch is in flight ends as last wanted', () => {
    const world = settled();
    world.want({ [A]: '10.0.0.3' });
    world.carryOut();
    world.want({ [A]: '10.0.0.2' });
    world.run(1000);
    assert.deepEqual(world.ours(), [`${A} via 10.0.0.2 metric 0`]);
  });
});

describe('surplus rows of ours', () => {
  test('left by a crash in the middle of a change are deleted', () => {
    const world = settled();
    world.want({ [A]: '10.0.0.3' });
    world.carryOut();
    world.restart();
    assert.equal(world.ours().length, 2);
    world.want({ [A]: '10.0.0.3' });
    world.run(1000);
    assert.deepEqual(world.ours(), [`${A} via 10.0.0.3 metric 0`]);
  });
});

describe('an unknown outcome', () => {
  for (const when of ['before', 'half', 'after'] as const) {
    test(`with the batch done ${when} is settled by a dump`, () => {
      const world = new World();
      world.want({});
      world.run(100);
      world.kernel.failures.next({ kind: 'unknown', when });
      world.want({ [A]: '10.0.0.2', [B]: '10.0.0.3' });
      world.run(1000);
      assert.deepEqual(world.ours(), [`${A} via 10.0.0.2 metric 0`, `${B} via 10.0.0.3 metric 0`]);
      assert.ok(world.said('peer').every(({ state }) => state !== 'rejected'));
      world.kernel.failures.assertConsumed();
    });
  }
});

describe('IPv6', () => {
  test("metric 0 reads back as the kernel's 1024 and is not changed again", () => {
    const world = new World();
    world.want({ 'fd01:0:1::/64': 'fd00::2' });
    world.run(1000);
    const written = world.kernel.journal.length;
    world.send({ type: 'hint', links: true, addresses: true, routes: true });
    world.run(60_000);
    assert.deepEqual(world.ours(), ['fd01:0:1::/64 via fd00::2 metric 1024']);
    assert.equal(world.kernel.journal.length, written);
  });

  test('a route of proto boot that says the same becomes ours, with a route there all the time', () => {
    const world = new World();
    const six = prefix('fd01:0:1::/64');
    world.kernel.foreignAdd({ prefix: six, gateway: address('fd00::2'), device: world.eth0 });
    world.want({ [six.text]: 'fd00::2' });
    for (let i = 0; i < 50; i += 1) {
      world.carryOut();
      assert.ok(world.kernel.routes().some((r) => r.prefix.text === six.text));
      world.deliver();
      world.now += 20;
      world.send({ type: 'timer' });
    }
    const rows = world.kernel.routes().filter((r) => r.prefix.text === six.text);
    assert.deepEqual(
      rows.map((r) => [r.protocol, r.metric]),
      [[OURS, 1024]],
    );
  });
});
