import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { startPlainContainer, watchRoutes } from '../../src/lab/index.ts';
import { needs } from '../support/needs.ts';
import { assertAllReach, nth, READY, routesOf, withRecipeA } from './recipe.ts';

const tools = ['root', 'ip', 'unshare', 'setpriv', 'nsenter', 'etcd', 'nft', 'iptables', 'busybox'];
const skip = needs(...tools) ?? false;
const DRIVERS = ['native', 'ip'] as const;
const args = ['--etcd-endpoints=http://10.10.10.101:2379'];

describe('an agent on real hosts', () => {
  for (const runtime of ['bun', 'deno', 'node'] as const) {
    const name = `under ${runtime} routes containers, and ends by itself at SIGTERM, its routes left`;
    test(name, { skip, timeout: 180_000 }, async () => {
      await withRecipeA(2, { agent: { runtime } }, async ({ hosts, agents }) => {
        const containers = await Promise.all(
          hosts.map((host, index) => startPlainContainer(host, `c${index + 1}`)),
        );
        await assertAllReach(containers);
        const before = await routesOf(nth(hosts, 1));
        for (const agent of agents) agent.kill('SIGTERM');
        const exits = await Promise.all(agents.map((agent) => agent.exited));
        assert.deepEqual(
          exits,
          agents.map(() => ({ code: 0, signal: null })),
          agents[0]?.lastWords(),
        );
        assert.deepEqual(await routesOf(nth(hosts, 1)), before);
        await assertAllReach(containers);
      });
    });
  }

  for (const driver of DRIVERS) {
    const skipDriver = skip || (driver === 'native' && (needs('native') ?? false));
    const name = `driver ${driver}: kill -9 changes no route, and the restart writes none`;
    test(name, { skip: skipDriver, timeout: 180_000 }, async () => {
      const agent = { args: [`--route-driver=${driver}`] };
      await withRecipeA(3, { agent }, async ({ hosts, agents, etcd }) => {
        const host = nth(hosts, -1);
        const before = await routesOf(host);
        const leases = await etcd.list('/coreos.com/network/subnets/');
        const watch = await watchRoutes(host);
        nth(agents, -1).kill('SIGKILL');
        assert.equal((await nth(agents, -1).exited).signal, 'SIGKILL');
        assert.deepEqual(await routesOf(host), before);
        const again = host.spawnAgent({ args: [...args, ...agent.args] });
        await again.waitFor(READY);
        assert.deepEqual(await routesOf(host), before);
        assert.deepEqual(await etcd.list('/coreos.com/network/subnets/'), leases);
        // The kernel tells of changes in order: once this one is seen, all earlier ones have been.
        await host.must(['ip', 'route', 'add', '203.0.113.0/24', 'via', '10.10.10.1']);
        await watch.process.waitFor('203.0.113.0/24');
        assert.equal(watch.changes().length, 1, watch.changes().join('\n'));
      });
    });
  }

  test('a second one on the same host says so and ends; the first goes on', {
    skip,
    timeout: 180_000,
  }, async () => {
    await withRecipeA(2, {}, async ({ hosts, agents }) => {
      const second = nth(hosts, 0).spawnAgent({ args });
      assert.equal((await second.exited).code, 4, second.lastWords());
      assert.match(second.lines.map(({ text }) => text).join('\n'), /another|already/i);
      assert.equal(nth(agents, 0).exit, undefined);
    });
  });
});
