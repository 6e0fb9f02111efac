/** Real hosts that start again: with etcd down, after their lease ran out, with a damaged view on disk. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Host, type LabProcess, startEtcd } from '../../src/lab/index.ts';
import { needs } from '../support/needs.ts';
import { until } from '../support/until.ts';
import { nth, READY, routesOf, withRecipeA } from './recipe.ts';

const skip =
  needs('root', 'ip', 'unshare', 'setpriv', 'nsenter', 'etcd', 'nft', 'iptables') ?? false;
const options = { skip, timeout: 120_000 };
const ENDPOINT = '--etcd-endpoints=http://10.10.10.101:2379';
const VIEW = '/var/lib/hostgw/view.json';
const SUBNETS = '/coreos.com/network/subnets/';
/** At once, on a machine that is busy. */
const AT_ONCE_MS = 20_000;

const ours = async (host: Host): Promise<string[]> =>
  (await routesOf(host)).filter((route) => route.includes('proto 104'));

const bridgeOf = async (host: Host): Promise<string | undefined> =>
  (await host.subnetFile())?.['FLANNEL_SUBNET'];

/** Ends the agent, and what a reboot takes besides: routes, firewall, /run. The disk stays. */
async function reboot(host: Host, agent: LabProcess, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  agent.kill(signal);
  await agent.exited;
  await host.must(['ip', 'route', 'flush', 'proto', '104']);
  await host.must(['nft', 'delete', 'table', 'inet', 'hostgw']);
  await host.must(['rm', '-rf', '/run/flannel', '/run/hostgw']);
}

describe('a host that boots', () => {
  test(
    'while etcd is down has its subnet, all routes and READY from disk, and nothing moves when etcd is back',
    options,
    () =>
      withRecipeA(3, {}, async ({ hosts, agents, etcd }) => {
        const [home, host, agent] = [nth(hosts, 0), nth(hosts, 2), nth(agents, 2)];
        const [routes, bridge] = [await ours(host), await bridgeOf(host)];
        etcd.process.kill('SIGKILL');
        await etcd.process.exited;
        await reboot(host, agent, 'SIGTERM');
        assert.deepEqual(await ours(host), []);

        const begun = performance.now();
        const again = host.spawnAgent({ args: [ENDPOINT] });
        await until(
          'all routes',
          async () => (await ours(host)).length === routes.length,
          AT_ONCE_MS,
        );
        const routesMs = performance.now() - begun;
        await again.waitFor(READY, AT_ONCE_MS);
        const readyMs = performance.now() - begun;
        console.log(
          `FIGURES boot without etcd: routes ${routesMs.toFixed(0)} ms, READY ${readyMs.toFixed(0)} ms`,
        );
        assert.deepEqual([await ours(host), await bridgeOf(host)], [routes, bridge]);
        assert.ok(
          again.lines.some(({ text }) => /as the disk says: etcd has not answered/.test(text)),
        );

        await startEtcd(home);
        await again.waitFor(/lease acquired/, 20_000);
        assert.deepEqual([await ours(host), await bridgeOf(host)], [routes, bridge]);
      }),
  );

  test(
    'after kill -9, before and after its lease ran out, has its subnet again, and its peers have their route',
    options,
    () => {
      const args = ['--subnet-lease-ttl=5'];
      return withRecipeA(2, { agent: { args } }, async ({ hosts, agents, etcd }) => {
        const [peer, host] = [nth(hosts, 0), nth(hosts, 1)];
        const [routes, bridge, toHost] = [await ours(host), await bridgeOf(host), await ours(peer)];
        const [key = ''] = [...(await etcd.list(SUBNETS))]
          .filter(([, value]) => value.includes(host.address))
          .map(([name]) => name);
        let agent = nth(agents, 1);
        for (const expired of [false, true]) {
          await reboot(host, agent, 'SIGKILL');
          if (expired)
            await until(
              'the lease has run out',
              async () => !(await etcd.list(SUBNETS)).has(key),
              30_000,
            );
          const begun = performance.now();
          agent = host.spawnAgent({ args: [ENDPOINT, ...args] });
          await agent.waitFor(READY, AT_ONCE_MS);
          const readyMs = performance.now() - begun;
          console.log(
            `FIGURES kill -9, lease ${expired ? 'expired' : 'alive'}: READY ${readyMs.toFixed(0)} ms`,
          );
          await until(
            'the key is back',
            async () => (await etcd.list(SUBNETS)).has(key),
            AT_ONCE_MS,
          );
          await until(
            'the peer has its route',
            async () => (await ours(peer)).join() === toHost.join(),
            AT_ONCE_MS,
          );
          assert.deepEqual([await ours(host), await bridgeOf(host)], [routes, bridge]);
          assert.equal((await etcd.list(SUBNETS)).size, 2);
        }
      });
    },
  );

  test('with a view that is cut short sets it aside, says so, and goes by etcd', options, () =>
    withRecipeA(2, {}, async ({ hosts, agents }) => {
      const [host, agent] = [nth(hosts, 1), nth(agents, 1)];
      const routes = await ours(host);
      agent.kill('SIGTERM');
      await agent.exited;
      await host.must(['truncate', '-s', '-9', VIEW]);
      const again = host.spawnAgent({ args: [ENDPOINT] });
      await again.waitFor(READY, AT_ONCE_MS);
      assert.ok(
        again.lines.some(({ text }) =>
          text.endsWith(`its checksum differs: set aside as ${VIEW}.damaged`),
        ),
      );
      assert.deepEqual(await ours(host), routes);
      assert.notEqual(await host.readFile(`${VIEW}.damaged`), undefined);
    }),
  );
});
