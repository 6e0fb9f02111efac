/** A driver that sees no difference gives the very array of an earlier dump: what was learnt in between still counts. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { KernelRoute, RouteOp } from '../../../src/route/types.ts';
import { address, prefix, World } from './world.ts';

const PEER = '10.100.1.0/24';
const SIX = 'fd01:0:1::/64';
const HINT = { type: 'hint', links: false, addresses: false, routes: true } as const;

/** Asks for a dump, and answers it with `routes`. */
function show(world: World, routes: readonly KernelRoute[]): void {
  world.now += 1000;
  world.send(HINT);
  const { request } = world;
  assert.ok(request?.type === 'dump');
  world.request = undefined;
  world.send({ type: 'dumped', attempt: request.attempt, routes });
}

/** The batch that waits, done without a failure. */
function write(world: World): readonly RouteOp[] {
  const { request } = world;
  if (request?.type !== 'apply') return [];
  world.request = undefined;
  const result = { kind: 'complete', failures: [] } as const;
  world.send({ type: 'applied', attempt: request.attempt, result });
  return request.ops;
}

describe('the same dump again', () => {
  test('after our write says that the route is gone: it is written anew', () => {
    const world = new World();
    const nothing: readonly KernelRoute[] = [];
    show(world, nothing);
    world.want({ [PEER]: '10.0.0.2' });
    assert.equal(write(world).length, 1);
    assert.equal(world.state(PEER), 'installed');
    show(world, nothing);
    assert.deepEqual(
      write(world).map(({ kind, route }) => `${kind} ${route.prefix.text}`),
      [`add ${PEER}`],
    );
  });

  test('with nothing learnt in between writes nothing and says nothing', () => {
    const world = new World();
    const nothing: readonly KernelRoute[] = [];
    show(world, nothing);
    world.want({ [PEER]: '10.0.0.2' });
    const routes = write(world).map(({ route }) => ({
      ...route,
      source: undefined,
      type: 1,
      tos: 0,
      linkDown: false,
      more: false,
    }));
    show(world, routes);
    world.outputs.length = 0;
    show(world, routes);
    assert.deepEqual(
      world.outputs.map(({ type }) => type),
      ['dump', 'settled'],
    );
  });

  test('tells whose an IPv6 sibling is by what is wanted by then', () => {
    const world = new World();
    // The kernel gives both the protocol of the first: which is ours, only the wish tells.
    const siblings = ['fd00::2', 'fd00::3'].map((gateway) => ({
      prefix: prefix(SIX),
      gateway: address(gateway),
      device: world.eth0,
      metric: 1024,
      protocol: 3,
      table: 254,
      source: undefined,
      type: 1,
      tos: 0,
      linkDown: false,
      more: false,
    }));
    show(world, siblings);
    world.want({ [SIX]: 'fd00::3' });
    show(world, siblings);
    assert.deepEqual(
      write(world).map(({ kind, route }) => `${kind} ${route.gateway.text}`),
      ['delete fd00::3'],
    );
    assert.equal(world.state(SIX), 'conflict');
  });
});
