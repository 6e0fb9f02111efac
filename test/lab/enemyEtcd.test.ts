/** etcd does its worst: what an agent's routes and keys must survive, on the real kernel. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { watchRoutes } from '../../src/lab/index.ts';
import { needs } from '../support/needs.ts';
import { FIGURES } from '../support/netns.ts';
import { until } from '../support/until.ts';
import * as enemy from './enemy.ts';
import { CONFIG_A, nth, READY, routesOf, withRecipeA } from './recipe.ts';

const tools = ['root', 'ip', 'unshare', 'setpriv', 'nsenter', 'etcd', 'etcdctl'];
const options = { skip: needs(...tools) ?? false, timeout: 180_000 };
const NO_SUBNET = CONFIG_A.replace('10.100.0.0/16', '10.101.0.0/16');
const WIDER = CONFIG_A.replace('10.100.0.0/16', '10.96.0.0/12');

describe('etcd', () => {
  test(
    'killed and back with its data changes no route and no key, and is said in a few lines',
    options,
    () =>
      withRecipeA(2, {}, async ({ hosts, etcd, agents }) => {
        const [first, agent] = [nth(hosts, 0), nth(agents, 1)];
        const keys = await etcd.list(enemy.SUBNETS);
        const from = agent.lines.length;
        const changes = await enemy.changesDuring(nth(hosts, 1), async () => {
          const back = await enemy.restartEtcd(first, etcd, 'kept');
          await agent.waitFor('etcd: in order again', 30_000, from);
          assert.deepEqual(await back.list(enemy.SUBNETS), keys);
        });
        assert.deepEqual(changes, []);
        const lines = enemy.said(agent, /./, from);
        assert.ok(lines.length <= 5, lines.join('\n'));
        assert.equal(new Set(lines.map((line) => line.slice(24))).size, lines.length);
      }),
  );

  for (const when of ['later', 'at once'] as const) {
    const name = `wiped, its config put ${when}, changes no route of a single peer, and gets the same keys again`;
    test(name, options, () =>
      withRecipeA(2, {}, async ({ hosts, etcd, agents }) => {
        const [first, agent] = [nth(hosts, 0), nth(agents, 1)];
        const keys = await etcd.list(enemy.SUBNETS);
        const from = agent.lines.length;
        const changes = await enemy.changesDuring(nth(hosts, 1), async () => {
          const fresh = await enemy.restartEtcd(first, etcd, 'wiped');
          if (when === 'later') {
            await agent.waitFor('everything stays as it is', 30_000, from);
            assert.deepEqual(await fresh.list(enemy.SUBNETS), new Map());
          }
          await fresh.put(enemy.CONFIG_KEY, CONFIG_A);
          await agent.waitFor('lease acquired', 30_000, from);
          // Whether anything had to be held depends on who of the two was back first.
          await agent.waitFor('etcd: in order again', 30_000, from);
          const same = async (): Promise<boolean> =>
            [...(await fresh.list(enemy.SUBNETS))].join() === [...keys].join();
          await until('the same keys are there', same);
        });
        assert.deepEqual(changes, []);
      }),
    );
  }

  test(
    'without its config, or with one that lacks our subnet, is said once; nothing changes',
    options,
    () =>
      withRecipeA(2, {}, async ({ hosts, etcd, agents }) => {
        const [first, agent] = [nth(hosts, 0), nth(agents, 1)];
        const keys = await etcd.list(enemy.SUBNETS);
        const from = agent.lines.length;
        const changes = await enemy.changesDuring(nth(hosts, 1), async () => {
          await enemy.etcdctl(first, ['del', enemy.CONFIG_KEY]);
          await agent.waitFor(/config is gone: everything stays/, 30_000, from);
          await etcd.put(enemy.CONFIG_KEY, NO_SUBNET);
          await agent.waitFor(/no longer contains our subnet/, 30_000, from);
          await etcd.put(enemy.CONFIG_KEY, WIDER);
          await agent.waitFor('config: in order again', 30_000, from);
          assert.deepEqual(await etcd.list(enemy.SUBNETS), keys);
        });
        assert.deepEqual(changes, []);
        assert.equal(enemy.said(agent, /warn/, from).length, 2, agent.lastWords());
      }),
  );

  test('without our key, or without our etcd lease, gets the same key again', options, () =>
    withRecipeA(2, {}, async ({ hosts, etcd, agents }) => {
      const [first, agent] = [nth(hosts, 0), nth(agents, 1)];
      const key = await enemy.mustKeyOf(etcd, '10.10.10.102');
      await enemy.del(first, key);
      assert.equal(await enemy.mustKeyOf(etcd, '10.10.10.102'), key);
      const from = agent.lines.length;
      const ids = (await enemy.etcdctl(first, ['lease', 'list'])).trim().split('\n').slice(1);
      for (const id of ids) await enemy.etcdctl(first, ['lease', 'revoke', id]);
      await agent.waitFor('lease acquired', 30_000, from);
      assert.equal(await enemy.mustKeyOf(etcd, '10.10.10.102'), key);
      assert.equal(agent.exit, undefined);
    }),
  );

  for (const under of ['no etcd lease', 'another etcd lease'] as const) {
    test(
      `with our key overwritten under ${under}: said loudly, routes stay, taken again when it goes`,
      options,
      () =>
        withRecipeA(2, {}, async ({ hosts, etcd, agents }) => {
          const [first, agent] = [nth(hosts, 0), nth(agents, 1)];
          const key = await enemy.mustKeyOf(etcd, '10.10.10.102');
          const before = await routesOf(nth(hosts, 1));
          const granted = await enemy.etcdctl(first, ['lease', 'grant', '600']);
          const id = /lease (\S+) granted/.exec(granted)?.[1] ?? '';
          const more = under === 'no etcd lease' ? [] : [`--lease=${id}`];
          const theirs = enemy.lease('10.10.10.77');
          await enemy.etcdctl(first, ['put', ...more, enemy.SUBNETS + key, theirs]);
          await agent.waitFor(/error .*belongs to 10\.10\.10\.77/);
          assert.deepEqual(await routesOf(nth(hosts, 1)), before);
          assert.equal((await etcd.list(enemy.SUBNETS)).get(enemy.SUBNETS + key), theirs);
          if (under === 'no etcd lease') await enemy.del(first, key);
          else await enemy.etcdctl(first, ['lease', 'revoke', id]);
          assert.equal(await enemy.mustKeyOf(etcd, '10.10.10.102'), key);
          await enemy.routed(first, `${key.replace('-', '/')} via 10.10.10.102`);
          assert.equal(agent.exit, undefined);
        }),
    );
  }

  test(
    'without any lease at once, with four hosts: no route goes anywhere, and every key returns',
    options,
    () =>
      withRecipeA(4, {}, async ({ hosts, etcd, agents }) => {
        const keys = await etcd.list(enemy.SUBNETS);
        const [watched, agent] = [nth(hosts, 1), nth(agents, 1)];
        const from = agent.lines.length;
        const changes = await enemy.changesDuring(watched, async () => {
          const deleted = performance.now();
          await enemy.etcdctl(nth(hosts, 0), ['del', '--prefix', enemy.SUBNETS]);
          await until('every key is back', async () => (await etcd.list(enemy.SUBNETS)).size === 4);
          const ms = (performance.now() - deleted).toFixed(0);
          process.stdout.write(
            `${FIGURES}etcdctl del --prefix of all leases: every key back after ${ms} ms, etcdctl included\n`,
          );
          await agent.waitFor('sweep-held: in order again', 30_000, from);
        });
        assert.deepEqual(changes, []);
        assert.deepEqual(await etcd.list(enemy.SUBNETS), keys);
      }),
  );
});

describe("a peer's lease", () => {
  for (const driver of ['native', 'ip'] as const) {
    const skip = options.skip || (driver === 'native' && (needs('native') ?? false));
    const name = `driver ${driver}: with another gateway is followed without a gap, and deleted takes its route`;
    test(name, { ...options, skip }, () =>
      withRecipeA(2, { agent: { args: [`--route-driver=${driver}`] } }, async ({ hosts }) => {
        const [first, host] = [nth(hosts, 0), nth(hosts, 1)];
        const watch = await watchRoutes(host);
        await enemy.put(first, '10.100.250.0-24', enemy.lease('10.10.10.50'));
        await watch.process.waitFor('10.100.250.0/24 via 10.10.10.50');
        await enemy.put(first, '10.100.250.0-24', enemy.lease('10.10.10.51'));
        const gone = await watch.process.waitFor('Deleted 10.100.250.0/24 via 10.10.10.50');
        const come = await watch.process.waitFor(
          /^(?!.*Deleted).*10\.100\.250\.0\/24 via 10\.10\.10\.51/,
        );
        const { lines } = watch.process;
        assert.ok(lines.indexOf(come) < lines.indexOf(gone), 'the new one comes first');
        await enemy.del(first, '10.100.250.0-24');
        await watch.process.waitFor('Deleted 10.100.250.0/24 via 10.10.10.51');
      }),
    );
  }

  test(
    'is one of 2,000 put at once and lost at once: all routed, held, in few lines',
    options,
    () =>
      withRecipeA(2, {}, async ({ hosts, etcd, agents }) => {
        const [first, host, agent] = [nth(hosts, 0), nth(hosts, 1), nth(agents, 1)];
        await etcd.put(enemy.CONFIG_KEY, WIDER);
        const from = agent.lines.length;
        const names = Array.from(
          { length: 2000 },
          (_, i) => `10.${104 + (i >> 8)}.${i & 255}.0-24`,
        );
        await enemy.putAll(
          first,
          names.map((name, i) => [name, enemy.lease(`10.10.10.${110 + (i % 100)}`)]),
        );
        const routes = async (): Promise<number> =>
          (await host.must(['ip', 'route', 'show', 'proto', '104'])).trim().split('\n').length;
        await until('2,001 routes', async () => (await routes()) === 2001);
        const hostile = Array.from({ length: 500 }, (_, i): [string, string] => [`junk${i}`, '{']);
        await enemy.putAll(first, hostile);
        await enemy.etcdctl(first, ['del', enemy.SUBNETS, `${enemy.SUBNETS}z`]);
        await agent.waitFor('sweep-held: ', 30_000, from);
        await agent.waitFor(/more leases get no route/, 30_000, from);
        assert.equal(await routes(), 2001);
        const lines = agent.lines.length - from;
        assert.ok(lines < 120, `${lines} lines`);
        await enemy.endsWell(agent);
        const again = host.spawnAgent({ args: enemy.ARGS });
        await again.waitFor(READY);
        assert.equal(await routes(), 2001, 'a restart holds them too');
      }),
  );
});
