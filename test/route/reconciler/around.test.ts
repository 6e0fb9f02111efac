/** What is around a route: the state of its link, and foreign routes that take a part of its prefix. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { containsPrefix, prefixOf, v4 } from '../../../src/ip/index.ts';
import { Inner } from '../../../src/route/inner.ts';
import { wholeRoute } from '../../support/fakeRoute.ts';
import { address, prefix, World } from './world.ts';

const A = '10.100.1.0/24';
const SIX = 'fd01:0:1::/64';

function worldWith(routes: Record<string, string>): World {
  const world = new World();
  world.send({ type: 'links', links: world.kernel.links() });
  world.want(routes);
  world.run(1000);
  world.outputs.length = 0;
  return world;
}

const tell = (world: World) => world.send({ type: 'links', links: world.kernel.links() });
const told = (world: World, key: string) =>
  world
    .said('peer')
    .filter(({ prefix: p }) => p.text === key)
    .map(({ state, reason }) => `${state}: ${reason}`);

describe('a link that goes down', () => {
  for (const [key, gateway] of [
    [A, '10.0.0.2'],
    [SIX, 'fd00::2'],
  ] as const) {
    test(`is named for ${key}, whatever the errno, said once, and its routes are back when it is up`, () => {
      const world = worldWith({ [key]: gateway });
      world.kernel.setLink(world.eth0, { up: false });
      world.run(100);
      assert.deepEqual(
        told(world, key).filter((line) => !line.startsWith('pending')),
        [],
        'nothing is said before the links are known',
      );
      tell(world);
      world.run(60_000);
      assert.deepEqual(
        told(world, key).filter((line) => !line.startsWith('pending')),
        ['link-down: eth0 is down.'],
      );
      world.outputs.length = 0;
      world.kernel.setLink(world.eth0, { up: true });
      if (key === SIX) world.kernel.addAddress(world.eth0, 'fd00::1/64');
      world.run(50);
      assert.deepEqual(told(world, key), ['installed: The route is in place.']);
    });
  }

  test('is waited for, not tried in vain: 1,000 refused routes make few batches, and are back at once', () => {
    const routes: Record<string, string> = {};
    for (let i = 0; i < 1000; i += 1)
      routes[prefixOf(v4(0x0a640000 + i * 64), 26).text] = '10.0.0.2';
    let roll = 0;
    const world = new World({ random: () => (roll = (roll + 0.137) % 1) });
    tell(world);
    world.want(routes);
    world.run(1000);
    world.kernel.setLink(world.eth0, { up: false });
    world.run(20);
    tell(world);
    world.run(1000);
    assert.equal(world.state('10.100.0.0/26'), 'link-down');
    world.outputs.length = 0;
    world.run(60_000);
    const tries = world.said('apply').map(({ ops }) => ops.length);
    assert.deepEqual(tries, [1000, 1000], 'in case the link is up and nobody said so');
    assert.equal(world.said('peer').length, 0);
    // Another link's change is worth one try: until the links are told anew it might have been this one's.
    world.kernel.setLink(world.eth1, { up: false });
    world.run(10);
    tell(world);
    world.run(1000);
    assert.equal(world.said('apply').length, 3);
    world.kernel.setLink(world.eth0, { up: true });
    world.run(50);
    assert.equal(world.ours().length, 1000);
  });

  test('and is not told of is retried by few batches, whatever their number', () => {
    let roll = 0;
    const world = new World({ random: () => (roll = (roll + 0.137) % 1) });
    const routes: Record<string, string> = {};
    for (let i = 0; i < 1000; i += 1)
      routes[prefixOf(v4(0x0a640000 + i * 64), 26).text] = '192.0.2.1';
    world.want(routes);
    world.run(100);
    world.outputs.length = 0;
    world.run(10_000);
    assert.ok(world.said('apply').length <= 100, `${world.said('apply').length} batches in 10 s`);
  });

  test('and of which nobody tells is named by the errno at last', () => {
    const world = worldWith({ [A]: '10.0.0.2' });
    world.kernel.setLink(world.eth0, { up: false });
    world.run(60_000);
    assert.equal(world.state(A), 'off-link');
  });

  test('is told from a gateway that is off-link, which stays off-link', () => {
    const world = worldWith({ [A]: '192.0.2.1' });
    assert.equal(world.state(A), 'off-link');
    world.kernel.setLink(world.eth0, { up: false });
    tell(world);
    world.run(31_000);
    assert.equal(world.state(A), 'link-down');
    world.kernel.setLink(world.eth0, { up: true });
    tell(world);
    world.run(100);
    assert.equal(world.state(A), 'off-link');
    assert.match(world.states.get(A)?.reason ?? '', /invalid gateway/);
  });

  test('and is up again is not called off-link by the errno from before', () => {
    const world = worldWith({ [A]: '10.0.0.2' });
    world.kernel.setLink(world.eth0, { up: false });
    tell(world);
    world.run(1000);
    assert.equal(world.state(A), 'link-down');
    world.outputs.length = 0;
    world.kernel.setLink(world.eth0, { up: true });
    tell(world);
    world.run(1000);
    assert.deepEqual(told(world, A), ['installed: The route is in place.']);
  });

  test('and is deleted is gone', () => {
    const world = worldWith({ [A]: '10.0.0.2', [SIX]: 'fd00::2' });
    world.kernel.removeLink(world.eth0);
    tell(world);
    world.run(100);
    for (const key of [A, SIX])
      assert.deepEqual(world.states.get(key)?.reason, 'The device is gone.');
  });

  test('costs no dump where nothing is other than before', () => {
    const world = worldWith({ [A]: '10.0.0.2' });
    world.outputs.length = 0;
    tell(world);
    world.run(1000);
    assert.equal(world.said('dump').length, 0);
  });
});

describe('a foreign route inside a peer prefix', () => {
  const inner = (world: World, text: string, gateway = '10.0.0.9') => ({
    prefix: prefix(text),
    gateway: address(gateway),
    device: world.eth0,
    protocol: 4,
  });

  test('is told with the peer, which stays installed, and forgotten when it goes', () => {
    const world = worldWith({ [A]: '10.0.0.2', '10.100.2.0/24': '10.0.0.2', [SIX]: 'fd00::2' });
    world.kernel.foreignAdd(inner(world, '10.100.1.128/25'));
    world.run(100);
    assert.deepEqual(told(world, A), [
      'installed: The route is in place, but part of the prefix goes elsewhere: 10.100.1.128/25 via 10.0.0.9 dev eth0 proto static metric 0.',
    ]);
    world.kernel.foreignAdd({ ...inner(world, '10.100.1.7/32'), metric: 500 });
    world.run(100);
    assert.match(told(world, A).at(-1) ?? '', /10\.100\.1\.128\/25 .* and 1 more\.$/);
    world.kernel.foreignAdd(inner(world, 'fd01:0:1::8/128', 'fd00::9'));
    world.run(100);
    assert.match(told(world, SIX).at(-1) ?? '', /fd01:0:1::8\/128 via fd00::9/);
    assert.equal(told(world, '10.100.2.0/24').length, 0);
    for (const text of ['10.100.1.128/25', '10.100.1.7/32'])
      world.kernel.foreignDelete({ prefix: prefix(text) });
    world.run(100);
    assert.equal(told(world, A).at(-1), 'installed: The route is in place.');
    assert.equal(world.said('apply').length, 0, 'and nothing is written for it');
  });

  test('that was there before the peer is told with its first state', () => {
    const world = new World();
    world.kernel.foreignAdd(inner(world, '10.100.1.128/25'));
    world.run(100);
    world.want({ [A]: '10.0.0.2' });
    world.run(100);
    assert.match(world.states.get(A)?.reason ?? '', /part of the prefix goes elsewhere/);
  });

  test('is found by the index as by a search of everything, through any changes', () => {
    const p = fc
      .tuple(fc.integer({ min: 0, max: 15 }), fc.constantFrom(24, 25, 26, 28))
      .map(([i, length]) => prefixOf(v4(0x0a640000 + i * 64), length));
    const step = fc.tuple(fc.constantFrom('wanted', 'set', 'unset'), p);
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const index = new Inner();
        const wanted = new Set<string>();
        const foreign = new Set<string>();
        for (const [kind, q] of steps) {
          if (kind === 'wanted') {
            index.wanted(q);
            wanted.add(q.text);
          } else {
            index.set(q, kind === 'set' ? wholeRoute({ prefix: q }) : undefined);
            if (kind === 'set') foreign.add(q.text);
            else foreign.delete(q.text);
          }
        }
        for (const outer of [...wanted].map(prefix)) {
          const expected = [...foreign]
            .map(prefix)
            .filter((q) => q.length > outer.length && containsPrefix(outer, q));
          assert.deepEqual(
            index
              .of(outer)
              .map((row) => row.prefix.text)
              .sort(),
            expected.map((q) => q.text).sort(),
          );
        }
      }),
    );
  });
});
