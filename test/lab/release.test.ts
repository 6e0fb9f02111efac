/** `hostgw release` on real hosts: refused while the agent runs, then the peers lose the route to what was given back. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type Host, runtimePath } from '../../src/lab/index.ts';
import { needs } from '../support/needs.ts';
import { until } from '../support/until.ts';
import { nth, routesOf, withRecipeA } from './recipe.ts';

const skip = needs('root', 'ip', 'unshare', 'setpriv', 'nsenter', 'etcd') ?? false;
const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const SUBNETS = '/coreos.com/network/subnets/';

describe('hostgw release', { skip }, () => {
  for (const runtime of ['bun', 'deno', 'node'] as const)
    test(`under ${runtime} gives the subnet back once the agent is stopped, says what stays, and may be run again`, {
      timeout: 180_000,
    }, async () => {
      const release = (host: Host, endpoint = 'http://10.10.10.101:2379') =>
        host.run([
          runtimePath(runtime) ?? '',
          ...(runtime === 'deno' ? ['run', '-A'] : []),
          ...[MAIN, 'release', `-etcd-endpoints=${endpoint}`],
        ]);
      await withRecipeA(2, {}, async ({ hosts, agents, etcd }) => {
        const [peer, host] = [nth(hosts, 0), nth(hosts, 1)];
        const running = await release(host);
        assert.equal(running.code, 4, running.stderr);
        // A busy machine may keep the agent from telling its pid in time.
        assert.match(running.stderr, /^hostgw release: .*agent.* already runs/);
        nth(agents, 1).kill('SIGTERM');
        await nth(agents, 1).exited;

        const lost = await release(host, 'http://127.0.0.1:9');
        assert.equal(lost.code, 1, lost.stderr);
        assert.match(lost.stderr, /refused the connection.*as it was: run this again/);
        assert.equal((await etcd.list(SUBNETS)).size, 2);

        const subnet = (await host.subnetFile())?.['FLANNEL_SUBNET']?.replace('.1/', '.0/');
        const done = await release(host);
        assert.equal(done.code, 0, done.stderr);
        assert.ok(done.stdout.startsWith(`released subnet ${subnet}: key ${SUBNETS}`), done.stdout);
        assert.match(done.stdout, /ip route flush proto 104 table 254/);
        assert.equal((await etcd.list(SUBNETS)).size, 1);
        await until('the peer has no route to it', async () =>
          (await routesOf(peer)).every((route) => !route.includes(`${subnet} via`)),
        );
        assert.equal(
          (await host.must(['ip', 'route', 'show', 'proto', '104'])).split('\n').length,
          2,
        );
        await host.must([
          'sh',
          '-c',
          'ip route flush proto 104 table 254; ip -6 route flush proto 104 table 254',
        ]);
        assert.equal(await host.must(['ip', 'route', 'show', 'proto', '104']), '');

        const again = await release(host);
        assert.equal(again.code, 0, again.stderr);
        assert.match(again.stdout, /names no subnet: there is nothing to release/);
      });
    });
});
