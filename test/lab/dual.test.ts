/** Dual-stack and IPv6-only on real kernels with a real etcd: agents, their routes, and containers that ping. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { watchRoutes } from '../../src/lab/index.ts';
import { needs } from '../support/needs.ts';
import { until } from '../support/until.ts';
import {
  address6,
  CONFIGS,
  routesOf,
  type Stack,
  SUBNETS,
  startBox,
  wantedBy,
  withDual,
} from './dual.ts';
import { nth, READY } from './recipe.ts';

const tools = ['root', 'ip', 'unshare', 'setpriv', 'nsenter', 'etcd', 'nft', 'iptables', 'busybox'];
const skip = needs(...tools) ?? false;
const NAMES: Readonly<Record<Stack, string>> = { dual: 'dual-stack', only6: 'IPv6-only' };
const HOSTS: Readonly<Record<Stack, number>> = { dual: 3, only6: 2 };

for (const stack of ['dual', 'only6'] as const) {
  describe(`${NAMES[stack]} hosts`, () => {
    test('route containers of each other, and a kill -9 and restart writes no route', {
      skip,
      timeout: 60_000,
    }, async () => {
      await withDual(stack, HOSTS[stack], async ({ hosts, etcd, agents, startAgent }) => {
        const keys = await etcd.list(SUBNETS);
        assert.equal(keys.size, hosts.length);
        const four = stack === 'dual' ? '10\\.100\\.\\d+\\.0-24' : '0\\.0\\.0\\.0-0';
        const ownKeys = hosts.map((host, i) => {
          const [key = '', value] =
            [...keys].find(([, text]) => text.includes(`"${address6(i)}"`)) ?? [];
          assert.match(key, new RegExp(`^${SUBNETS}${four}&fd00:100:0:[0-9a-f]+::-64$`));
          const ip = stack === 'dual' ? host.address : '0.0.0.0';
          assert.equal(
            value,
            `{"PublicIP":"${ip}","PublicIPv6":"${address6(i)}","BackendType":"host-gw"}`,
          );
          return key;
        });
        for (const [i, host] of hosts.entries()) {
          const own = nth(ownKeys, i);
          assert.deepEqual((await routesOf(host)).sort(), wantedBy(keys, own));
          assert.equal(await host.readFile('/run/flannel/subnet.env'), subnetFile(own));
          const forwarding = ['cat', '/proc/sys/net/ipv6/conf/all/forwarding'];
          assert.equal((await host.must(forwarding)).trim(), '1');
        }

        const boxes = await Promise.all(hosts.map((host, i) => startBox(host, `c${i}`)));
        const pings = boxes.map(async (box) => {
          const others = boxes.filter((one) => one !== box).flatMap((one) => one.addresses);
          const reached = new Map(others.map((address) => [address, 62]));
          assert.deepEqual(await box.ping(others), reached, `${box.name}, through both hosts`);
        });
        await Promise.all(pings);

        const host = nth(hosts, -1);
        const before = await routesOf(host);
        const plan = startAgent(host, '--dry-run');
        await plan.exited;
        const planned = plan.lines.map(({ text }) => text).join('\n');
        const stay = `# 0 to add, 0 to change, 0 to remove, ${before.length} as they should be`;
        assert.ok(planned.endsWith(stay), planned);
        assert.match(
          planned,
          /# own subnet (10\.100\.\d+\.0\/24 and )?fd00:100:0:[0-9a-f]+::\/64\n/,
        );
        const watch = await watchRoutes(host);
        const watch6 = host.spawn('ip monitor', ['ip', '-6', 'monitor', 'route']);
        await until('ip monitor hears', async () => {
          await host.must(['ip', '-6', 'route', 'add', 'blackhole', '2001:db8::1']);
          await host.must(['ip', '-6', 'route', 'del', 'blackhole', '2001:db8::1']);
          return watch6.lines.some(({ text }) => text.includes('2001:db8::1'));
        });
        nth(agents, -1).kill('SIGKILL');
        await nth(agents, -1).exited;
        assert.deepEqual(await routesOf(host), before);
        await startAgent(host).waitFor(READY, 20_000);
        assert.deepEqual(await routesOf(host), before);
        assert.deepEqual(await etcd.list(SUBNETS), keys);
        // Changes are told in order: when this one is seen, all before it have been.
        await host.must(['ip', '-6', 'route', 'add', 'blackhole', '2001:db8::2']);
        await watch6.waitFor('2001:db8::2');
        const written = watch6.lines.filter(({ text }) => text.includes('fd00:100:'));
        assert.deepEqual([written, watch.changes()], [[], []]);
      });
    });
  });
}

test('a dual-stack host without its state finds its key by its address, and a dry run shows both families', {
  skip,
  timeout: 60_000,
}, async () => {
  await withDual('dual', 2, async ({ hosts, etcd, agents, startAgent }) => {
    const host = nth(hosts, 1);
    nth(agents, 1).kill('SIGTERM');
    await nth(agents, 1).exited;
    await host.must(['sh', '-c', 'rm -f /var/lib/hostgw/* /run/flannel/*']);
    await host.must(['ip', 'route', 'flush', 'proto', '104']);
    await host.must(['ip', '-6', 'route', 'flush', 'proto', '104']);
    const plan = startAgent(host, '--dry-run');
    await plan.exited;
    const lines = plan.lines.map(({ text }) => text).join('\n');
    assert.match(lines, /ip route add 10\.100\.\d+\.0\/24 via 10\.10\.10\.101/);
    assert.match(lines, /ip route add fd00:100:0:[0-9a-f]+::\/64 via fd00:10::101/);
    assert.match(lines, /# own subnet 10\.100\.\d+\.0\/24 and fd00:100:0:[0-9a-f]+::\/64/);
    assert.match(lines, /# 2 to add, 0 to change, 0 to remove/);
    assert.deepEqual(await routesOf(host), []);

    const own = [...(await etcd.list(SUBNETS))].find(([, value]) => value.includes('10.10.10.102'));
    const again = startAgent(host);
    await again.waitFor(READY, 20_000);
    assert.equal(await host.readFile('/run/flannel/subnet.env'), subnetFile(own?.[0] ?? ''));
    assert.equal((await routesOf(host)).length, 2);
  });
});

test('a host keeps its IPv4 subnet while the network loses IPv6 and gets it again', {
  skip,
  timeout: 60_000,
}, async () => {
  await withDual('dual', 2, async ({ hosts, etcd, agents, startAgent }) => {
    const host = nth(hosts, 1);
    let agent = nth(agents, 1);
    const names = async (): Promise<string[]> =>
      [...(await etcd.list(SUBNETS)).keys()].map((key) => key.slice(SUBNETS.length)).sort();
    // READY comes from the disk where etcd is slow to answer: the new key follows.
    const under = async (config: string, keys: readonly string[]): Promise<void> => {
      await etcd.put('/coreos.com/network/config', config);
      agent.kill('SIGTERM');
      await agent.exited;
      agent = startAgent(host);
      await agent.waitFor(READY, 20_000);
      await until(`etcd has ${keys}`, async () => String(await names()) === String(keys));
    };
    const before = await names();
    const own = [...(await etcd.list(SUBNETS))].find(([, value]) => value.includes('10.10.10.102'));
    const pair = own?.[0].slice(SUBNETS.length) ?? '';
    const half = pair.split('&')[0] ?? '';
    const four = '{"Network":"10.100.0.0/16","Backend":{"Type":"host-gw"}}';
    const without = before.map((name) => (name === pair ? half : name)).sort();
    await under(four, without);
    await until('one route', async () => (await routesOf(host)).length === 1);
    await under(CONFIGS.dual, before);
    await until('two routes', async () => (await routesOf(host)).length === 2);
    const file = subnetFile(`${SUBNETS}${pair}`);
    await until(
      'the subnet file has both',
      async () => (await host.readFile('/run/flannel/subnet.env')) === file,
    );
  });
});

/** As flannel's WriteSubnetFile prints it: networks as configured, subnets with their first address but one. */
function subnetFile(key: string): string {
  const [four = '', six = ''] = key.slice(SUBNETS.length).split('&');
  const first = (half: string): string =>
    half.replace(/(0|:)-(\d+)$/, (_, end, length) =>
      end === '0' ? `1/${length}` : `:1/${length}`,
    );
  const lines4 = `FLANNEL_NETWORK=10.100.0.0/16\nFLANNEL_SUBNET=${first(four)}\n`;
  const lines6 = `FLANNEL_IPV6_NETWORK=fd00:100::/48\nFLANNEL_IPV6_SUBNET=${first(six)}\n`;
  return `${four === '0.0.0.0-0' ? '' : lines4}${lines6}FLANNEL_MTU=1500\nFLANNEL_IPMASQ=false\n`;
}
