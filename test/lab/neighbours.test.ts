/** Neighbour entries as a real agent keeps them on real hosts. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Host } from '../../src/lab/index.ts';
import { needs } from '../support/needs.ts';
import { until } from '../support/until.ts';
import { nth, READY, withRecipeA } from './recipe.ts';

const tools = ['root', 'ip', 'unshare', 'setpriv', 'nsenter', 'etcd', 'nft', 'iptables', 'busybox'];
const skip = needs(...tools) ?? false;
const args = ['--neighbours=on', '--healthz-port=8471'];

/** Our entries, sorted: `10.10.10.102 managed extern_learn REACHABLE`. */
async function entries(host: Host): Promise<string[]> {
  const lines = (await host.must(['ip', '-N', 'neigh', 'show', 'nud', 'all'])).split('\n');
  return lines
    .filter((line) => line.includes('proto 104'))
    .map((line) => line.replace(/ (dev|lladdr|proto) \S+/g, '').trim())
    .sort();
}

const reachable = (count: number) => async (list: Promise<string[]>) =>
  (await list).filter((line) => line.endsWith('managed extern_learn REACHABLE')).length === count;

describe('neighbour entries on real hosts', () => {
  const name = 'outlive a kill -9, are taken over, and tell of a peer that does not answer';
  test(name, { skip, timeout: 180_000 }, async () => {
    await withRecipeA(3, { agent: { args } }, async ({ hosts, agents, etcd }) => {
      const host = nth(hosts, 0);
      await until('both peers answer', () => reachable(2)(entries(host)));
      const watch = host.spawn('monitor', ['ip', '-N', 'monitor', 'neigh']);
      nth(agents, 0).kill('SIGKILL');
      await nth(agents, 0).exited;
      assert.equal((await entries(host)).length, 2);
      const again = host.spawnAgent({
        args: ['--etcd-endpoints=http://10.10.10.101:2379', ...args],
      });
      await again.waitFor(READY);
      assert.ok(await reachable(2)(entries(host)));
      // The kernel tells of changes in order: once this one is seen, all earlier ones have been.
      const last = 'ip neigh add 10.10.10.200 lladdr 02:00:00:00:00:01 dev eth0';
      await host.must(last.split(' '));
      await watch.waitFor('10.10.10.200');
      assert.deepEqual(
        watch.lines.filter(({ text }) => text.includes('Deleted')),
        [],
      );

      await etcd.put(
        '/coreos.com/network/subnets/10.100.250.0-24',
        '{"PublicIP":"10.10.10.250","PublicIPv6":null,"BackendType":"host-gw"}',
      );
      await again.waitFor('neighbour 10.10.10.250 does not answer on the link', 120_000);
      const readyz = await host.must(['busybox', 'wget', '-qO-', 'http://127.0.0.1:8471/readyz']);
      assert.match(readyz, /"routes":\{"installed":2,"unreachable":1\}/);
      await nth(hosts, 1).must(['ip', 'addr', 'add', '10.10.10.250/24', 'dev', 'eth0']);
      await again.waitFor('neighbour 10.10.10.250 answers again', 120_000);
    });
  });
});
