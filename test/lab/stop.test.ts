import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { needs } from '../support/needs.ts';
import { nth, READY, routesOf, withRecipeA } from './recipe.ts';

const skip =
  needs('root', 'ip', 'unshare', 'setpriv', 'nsenter', 'etcd', 'nft', 'iptables') ?? false;
const options = { skip, timeout: 180_000 };
/** Every packet to etcd is lost: no answer, no refusal. */
const SILENCE =
  'table inet cut { chain out { type filter hook output priority 0; tcp dport 2379 drop; }; }';

describe('an agent that is stopped', () => {
  for (const runtime of ['bun', 'deno', 'node'] as const) {
    const name = `under ${runtime} ends by itself though etcd is silent, connected before or never`;
    test(name, options, () =>
      withRecipeA(2, { agent: { runtime } }, async ({ hosts, agents }) => {
        const host = nth(hosts, 1);
        const before = await routesOf(host);
        await host.must(['nft', '-f', '-'], { input: SILENCE });
        await ended(nth(agents, 1));
        assert.deepEqual(await routesOf(host), before);
        const args = ['--etcd-endpoints=http://10.10.10.101:2379'];
        const late = host.spawnAgent({ runtime, args });
        await late.waitFor(/http:\/\/10\.10\.10\.101:2379/);
        await ended(late);
      }),
    );
  }

  test('leaves its firewall rules, and takes them away when told', options, () =>
    withRecipeA(2, {}, async ({ hosts, agents }) => {
      const host = nth(hosts, 1);
      const tables = () => host.must(['nft', 'list', 'tables']);
      await ended(nth(agents, 1));
      assert.match(await tables(), /inet hostgw/);
      const args = ['--etcd-endpoints=http://10.10.10.101:2379', '--remove-forward-rules'];
      const again = host.spawnAgent({ args });
      await again.waitFor(READY);
      await ended(again);
      assert.doesNotMatch(await tables(), /inet hostgw/);
      assert.doesNotMatch(await host.must(['iptables', '-t', 'raw', '-S']), /hostgw/);
      assert.doesNotMatch(await host.must(['iptables', '-S']), /hostgw/);
    }),
  );
});

describe('a default route that appears on another link', () => {
  test('moves neither lease nor routes', options, () =>
    withRecipeA(2, {}, async ({ hosts, agents, etcd }) => {
      const host = nth(hosts, 1);
      const leases = await etcd.list('/coreos.com/network/subnets/');
      const before = (await routesOf(host)).filter((route) => route.includes('proto 104'));
      await host.must(['ip', '-batch', '-'], {
        input: [
          'link add vpn0 type veth peer name vpn1',
          'address add 172.31.0.2/24 dev vpn0',
          'link set vpn0 up',
          'link set vpn1 up',
          'route add 0.0.0.0/1 via 172.31.0.1 dev vpn0',
          'route replace default via 172.31.0.1 dev vpn0',
          '',
        ].join('\n'),
      });
      // The agent has looked at the links after they changed, once it has put this route back.
      const [route = ''] = before;
      await host.must(['ip', 'route', 'del', ...route.split(' ').slice(0, 3)]);
      await nth(agents, 1).waitForAll('subnet added: ', 2);
      assert.deepEqual(
        (await routesOf(host)).filter((line) => line.includes('proto 104')),
        before,
      );
      assert.deepEqual(await etcd.list('/coreos.com/network/subnets/'), leases);
    }),
  );
});

async function ended(agent: { kill(signal: 'SIGTERM'): boolean; exited: Promise<unknown> }) {
  agent.kill('SIGTERM');
  assert.deepEqual(await agent.exited, { code: 0, signal: null });
}
