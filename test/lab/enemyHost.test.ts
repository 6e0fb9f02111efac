/** The host does its worst: disks, processes and signals turned against an agent, on the real kernel. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runtimePath } from '../../src/lab/index.ts';
import { needs } from '../support/needs.ts';
import { until } from '../support/until.ts';
import * as enemy from './enemy.ts';
import { nth, READY, routesOf, withRecipeA } from './recipe.ts';

const tools = ['root', 'ip', 'unshare', 'setpriv', 'nsenter', 'etcd', 'etcdctl'];
const options = { skip: needs(...tools) ?? false, timeout: 180_000 };
const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const STATE = '/var/lib/hostgw/state.json';

describe('an agent', () => {
  test(
    'killed at 20 random moments of its first start has one key, and the same subnet at last',
    options,
    () =>
      withRecipeA(2, {}, async ({ hosts, agents, etcd }) => {
        const host = nth(hosts, 1);
        await enemy.killHard(nth(agents, 1));
        await enemy.del(nth(hosts, 0), await enemy.mustKeyOf(etcd, '10.10.10.102'));
        await host.must(['sh', '-c', 'rm -rf /var/lib/hostgw/* /run/flannel/*']);
        let key: string | undefined;
        for (let round = 0; round < 20; round += 1) {
          const agent = host.spawnAgent({ args: enemy.ARGS });
          await new Promise((resolve) => setTimeout(resolve, Math.random() * 700));
          await enemy.killHard(agent);
          const now = await enemy.keyOf(etcd, '10.10.10.102');
          if (key !== undefined) assert.equal(now, key);
          key = now;
        }
        const agent = host.spawnAgent({ args: enemy.ARGS });
        await agent.waitFor(READY);
        const at = await enemy.mustKeyOf(etcd, '10.10.10.102');
        if (key !== undefined) assert.equal(at, key);
        await enemy.routed(nth(hosts, 0), `${at.replace('-', '/')} via 10.10.10.102`);
      }),
  );

  test('stopped for 5 s catches up with what it missed', options, () =>
    withRecipeA(2, {}, async ({ hosts, agents }) => {
      const [first, host, agent] = [nth(hosts, 0), nth(hosts, 1), nth(agents, 1)];
      await enemy.put(first, '10.100.250.0-24', enemy.lease('10.10.10.50'));
      await enemy.routed(host, '10.100.250.0/24 via 10.10.10.50');
      agent.kill('SIGSTOP');
      await enemy.del(first, '10.100.250.0-24');
      await enemy.put(first, '10.100.251.0-24', enemy.lease('10.10.10.51'));
      await new Promise((resolve) => setTimeout(resolve, 5000));
      agent.kill('SIGCONT');
      await enemy.routed(host, '10.100.251.0/24 via 10.10.10.51');
      await until('the old route is gone', async () =>
        (await routesOf(host)).every((line) => !line.startsWith('10.100.250.0/24')),
      );
    }),
  );

  test(
    'whose state cannot be saved says so and goes on; with damaged state it finds its subnet',
    options,
    () =>
      withRecipeA(2, {}, async ({ hosts, agents, etcd }) => {
        const host = nth(hosts, 1);
        const key = await enemy.mustKeyOf(etcd, '10.10.10.102');
        await enemy.endsWell(nth(agents, 1));
        const full = 'rm -f /var/lib/hostgw/*; mount -t tmpfs -o size=4k tmpfs /var/lib/hostgw';
        await host.must(['sh', '-c', `${full}; head -c 4096 /dev/zero >/var/lib/hostgw/fill`]);
        const agent = host.spawnAgent({ args: enemy.ARGS });
        await agent.waitFor(
          /warn .*state: the state in \/var\/lib\/hostgw cannot be saved.*ENOSPC/,
        );
        await agent.waitFor(READY);
        assert.equal(await enemy.mustKeyOf(etcd, '10.10.10.102'), key);
        await enemy.endsWell(agent);
        await host.must(['sh', '-c', `umount /var/lib/hostgw; printf '{"own":' >${STATE}`]);
        const again = host.spawnAgent({ args: enemy.ARGS });
        await again.waitFor(/state\.json is not JSON: set aside as/);
        await again.waitFor(READY);
        assert.deepEqual(enemy.said(again, /no route/), [], 'its own key is no refused peer');
        assert.equal(await enemy.mustKeyOf(etcd, '10.10.10.102'), key);
      }),
  );

  test('whose subnet file cannot be written says so, and writes it when it can', options, () =>
    withRecipeA(2, {}, async ({ hosts, agents }) => {
      const host = nth(hosts, 1);
      await enemy.endsWell(nth(agents, 1));
      await host.must(['sh', '-c', 'rm /run/flannel/*; mount -t tmpfs -o ro tmpfs /run/flannel']);
      const agent = host.spawnAgent({ args: enemy.ARGS });
      await agent.waitFor(/warn .*subnet-file: .*EROFS/);
      await host.must(['umount', '/run/flannel']);
      // Any news of links or addresses has the host looked at; without any it would be within 30 s.
      await host.must(['ip', 'addr', 'add', '192.0.2.1/32', 'dev', 'lo']);
      await agent.waitFor('subnet-file: in order again');
      assert.ok((await host.subnetFile())?.['FLANNEL_SUBNET']);
    }),
  );

  test('started twice at the same instant runs once', options, () =>
    withRecipeA(2, {}, async ({ hosts, agents }) => {
      const host = nth(hosts, 1);
      await enemy.endsWell(nth(agents, 1));
      const both = [0, 1].map(() => host.spawnAgent({ args: enemy.ARGS }));
      const exit = await Promise.race(both.map((agent) => agent.exited));
      assert.deepEqual(exit, { code: 4, signal: null });
      const left = both.find((agent) => agent.exit === undefined);
      assert.ok(left !== undefined);
      await left.waitFor(READY);
    }),
  );

  test('whose health port is taken, or that has no ip, ends with 3 and one sentence', options, () =>
    withRecipeA(2, {}, async ({ hosts, agents }) => {
      const host = nth(hosts, 1);
      await enemy.endsWell(nth(agents, 1));
      const taken = nth(hosts, 0).spawnAgent({ args: enemy.ARGS });
      assert.equal((await taken.exited).code, 4);
      const holder = host.spawn('holder', ['busybox', 'nc', '-l', '-p', '8471']);
      await until('the port is taken', async () =>
        /:2117 /.test((await host.must(['cat', '/proc/net/tcp', '/proc/net/tcp6'])).toUpperCase()),
      );
      const agent = host.spawnAgent({ args: [...enemy.ARGS, '--healthz-port=8471'] });
      assert.equal((await agent.exited).code, 3, agent.lastWords());
      assert.match(enemy.last(agent.lines).text, /health server cannot listen on .*:8471/);
      holder.kill('SIGKILL');
      const bare = bun(host, '/nonexistent');
      assert.equal((await bare.exited).code, 3, bare.lastWords());
      assert.match(
        enemy.last(bare.lines).text,
        /ip of iproute2 cannot be started|cannot run ip .*: install iproute2/,
      );
    }),
  );

  test('without nft and iptables routes all the same, and names what is missing', options, () =>
    withRecipeA(2, {}, async ({ hosts, agents, etcd }) => {
      const host = nth(hosts, 1);
      await enemy.endsWell(nth(agents, 1));
      await host.must(['ip', 'route', 'flush', 'proto', '104']);
      await host.must(['sh', '-c', 'mkdir /run/few && ln -s "$(command -v ip)" /run/few/ip']);
      const agent = bun(host, '/run/few');
      await agent.waitFor(/warn .*firewall: .*(nft|iptables)/);
      await agent.waitFor(READY);
      const peer = (await enemy.mustKeyOf(etcd, '10.10.10.101')).replace('-', '/');
      await enemy.routed(host, `${peer} via 10.10.10.101`);
    }),
  );

  test(
    'ends by itself at SIGTERM while etcd is dead, held or not; a second SIGINT does no harm',
    options,
    () =>
      withRecipeA(2, {}, async ({ hosts, agents, etcd }) => {
        etcd.process.kill('SIGKILL');
        await nth(agents, 1).waitFor(/etcd: no live view/);
        await enemy.endsWell(nth(agents, 1));
        const starting = nth(hosts, 1).spawnAgent({ args: enemy.ARGS });
        await starting.waitFor(/etcd: no live view/);
        await enemy.endsWell(starting);
        const first = nth(agents, 0);
        first.kill('SIGINT');
        first.kill('SIGINT');
        const { code, signal } = await first.exited;
        assert.ok(code === 0 || signal === 'SIGINT', first.lastWords());
      }),
  );

  for (const runtime of ['bun', 'deno', 'node'] as const) {
    test(`under ${runtime} goes on routing when nobody reads its log any more`, options, () =>
      withRecipeA(2, {}, async ({ hosts, agents }) => {
        const [first, host] = [nth(hosts, 0), nth(hosts, 1)];
        await enemy.endsWell(nth(agents, 1));
        const program = runtimePath(runtime);
        assert.ok(program !== undefined);
        const words = [program, ...(runtime === 'deno' ? ['run', '-A'] : []), MAIN, 'agent'];
        const command = `${[...words, ...enemy.ARGS].join(' ')} 2>&1 | head -n 1`;
        const pipe = host.spawn('agent without a reader', ['sh', '-c', command]);
        await pipe.waitFor('hostgw');
        for (const last of [50, 51]) {
          await enemy.put(first, '10.100.250.0-24', enemy.lease(`10.10.10.${last}`));
          await enemy.routed(host, `10.100.250.0/24 via 10.10.10.${last}`);
        }
      }),
    );
  }
});

/** An agent on Bun that finds programs only in `path`. */
function bun(host: Parameters<typeof enemy.put>[0], path: string) {
  const program = runtimePath('bun');
  assert.ok(program !== undefined);
  return host.spawn('agent', ['env', `PATH=${path}`, program, MAIN, 'agent', ...enemy.ARGS]);
}
