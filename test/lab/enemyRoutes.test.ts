/** Routes, links and addresses turned against an agent, on the real kernel, with each driver. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { needs } from '../support/needs.ts';
import { until } from '../support/until.ts';
import * as enemy from './enemy.ts';
import { nth, routesOf, withRecipeA } from './recipe.ts';

const tools = ['root', 'ip', 'unshare', 'setpriv', 'nsenter', 'etcd', 'etcdctl'];
const options = { skip: needs(...tools) ?? false, timeout: 180_000 };

for (const driver of ['native', 'ip'] as const) {
  const skip = options.skip || (driver === 'native' && (needs('native') ?? false));
  const bounded = { ...options, skip };
  const agentOptions = { agent: { args: [`--route-driver=${driver}`] } };

  describe(`routes of driver ${driver}`, () => {
    test(
      'deleted, flushed or changed by hand are put right; a rival is named and left alone',
      bounded,
      () =>
        withRecipeA(3, agentOptions, async ({ hosts, agents, etcd }) => {
          const [host, agent] = [nth(hosts, 2), nth(agents, 2)];
          const prefix = (await enemy.mustKeyOf(etcd, '10.10.10.101')).replace('-', '/');
          const before = await routesOf(host);
          const asBefore = (): Promise<void> =>
            until(
              'the routes are as before',
              async () => (await routesOf(host)).join() === before.join(),
            );
          await host.must(['ip', 'route', 'del', prefix]);
          await asBefore();
          await host.must(['ip', 'route', 'flush', 'proto', '104']);
          await asBefore();
          await host.must(['ip', 'route', 'replace', prefix, 'via', '10.10.10.9', 'proto', '104']);
          await asBefore();
          await host.must(['ip', 'route', 'replace', prefix, 'via', '10.10.10.9']);
          await agent.waitFor(/is conflict: .*10\.10\.10\.9/);
          assert.ok((await routesOf(host)).includes(`${prefix} via 10.10.10.9 dev eth0`));
          await host.must(['ip', 'route', 'del', prefix]);
          await asBefore();
        }),
    );

    test('come back after the uplink was down, and no lease was refused meanwhile', bounded, () =>
      withRecipeA(3, agentOptions, async ({ hosts, agents }) => {
        const [host, agent] = [nth(hosts, 2), nth(agents, 2)];
        const before = await routesOf(host);
        const from = agent.lines.length;
        await host.must(['ip', 'link', 'set', 'eth0', 'down']);
        await agent.waitFor(/uplink: eth0 stays the uplink/, 30_000, from);
        await host.must(['ip', 'link', 'set', 'eth0', 'up']);
        await host.must(['ip', 'route', 'add', 'default', 'via', '10.10.10.1']);
        await until(
          'the routes are back',
          async () => (await routesOf(host)).join() === before.join(),
        );
        assert.deepEqual(enemy.said(agent, /no route: lease|sweep-held/, from), []);
      }),
    );

    test(
      'move to another address of the uplink with the host, and its subnet stays the same',
      bounded,
      () =>
        withRecipeA(2, agentOptions, async ({ hosts, etcd }) => {
          const [first, host] = [nth(hosts, 0), nth(hosts, 1)];
          const key = await enemy.mustKeyOf(etcd, '10.10.10.102');
          const peer = (await enemy.mustKeyOf(etcd, '10.10.10.101')).replace('-', '/');
          // Taking away the last address takes all routes through it, so the default route comes anew.
          await host.must(['ip', 'addr', 'del', '10.10.10.102/24', 'dev', 'eth0']);
          await host.must(['ip', 'addr', 'add', '10.10.10.152/24', 'dev', 'eth0']);
          await host.must(['ip', 'route', 'add', 'default', 'via', '10.10.10.1']);
          assert.equal(await enemy.mustKeyOf(etcd, '10.10.10.152'), key);
          await enemy.routed(first, `${key.replace('-', '/')} via 10.10.10.152`);
          await enemy.routed(host, `${peer} via 10.10.10.101`);
        }),
    );
  });
}
