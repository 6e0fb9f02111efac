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
const ETCD = 'http://10.10.10.101:2379';
const RUNTIMES = ['bun', 'deno', 'node'] as const;
const FLUSH = 'ip route flush proto 104 table 254; ip -6 route flush proto 104 table 254';

describe('hostgw release', { skip }, () => {
  test('gives the subnet back once the agent is stopped, says what stays, and may be run again, under each runtime', {
    timeout: 180_000,
  }, async () => {
    await withRecipeA(1 + RUNTIMES.length, {}, async ({ hosts, agents, etcd }) => {
      const peer = nth(hosts, 0);
      for (const [index, runtime] of RUNTIMES.entries()) {
        const [host, agent] = [nth(hosts, index + 1), nth(agents, index + 1)];
        const keys = (await etcd.list(SUBNETS)).size;
        const subnet = (await host.subnetFile())?.['FLANNEL_SUBNET']?.replace('.1/', '.0/');
        if (runtime === 'bun') await refusedWhileRunning(host);
        agent.kill('SIGTERM');
        await agent.exited;

        if (runtime === 'bun') await refusedWithoutEtcd(host);
        assert.equal((await etcd.list(SUBNETS)).size, keys);
        const done = await release(host, runtime);
        assert.equal(done.code, 0, done.stderr);
        assert.ok(done.stdout.startsWith(`released subnet ${subnet}: key ${SUBNETS}`), done.stdout);
        assert.equal((await etcd.list(SUBNETS)).size, keys - 1);
        // Three that leave within 10 s are held: most peers are gone then.
        if (runtime === 'bun')
          await until('the peer has no route to it', async () =>
            (await routesOf(peer)).every((route) => !route.includes(`${subnet} via`)),
          );
        const routes = () => host.must(['ip', 'route', 'show', 'proto', '104']);
        assert.notEqual(await routes(), '', 'its own routes stay');
        assert.ok(done.stdout.includes(`routes to the peers: ${FLUSH}\n`), done.stdout);
        await host.must(['sh', '-c', FLUSH]);
        assert.equal(await routes(), '');

        if (runtime === 'bun') await doneAlready(host);
      }
    });
  });
});

async function refusedWhileRunning(host: Host): Promise<void> {
  const { code, stderr } = await release(host, 'bun');
  assert.equal(code, 4, stderr);
  assert.match(stderr, /^hostgw release: .*hostgw agent.* already runs in this network namespace/);
}

async function refusedWithoutEtcd(host: Host): Promise<void> {
  const { code, stderr } = await release(host, 'bun', 'http://127.0.0.1:9');
  assert.equal(code, 1, stderr);
  assert.match(stderr, /refused the connection.*as it was: run this again/);
}

async function doneAlready(host: Host): Promise<void> {
  const { code, stdout, stderr } = await release(host, 'bun');
  assert.equal(code, 0, stderr);
  assert.match(stdout, /names no subnet: there is nothing to release/);
}

function release(host: Host, runtime: (typeof RUNTIMES)[number], endpoint = ETCD) {
  const words = runtime === 'deno' ? ['run', '-A', MAIN] : [MAIN];
  const program = runtimePath(runtime) ?? '';
  return host.run([program, ...words, 'release', `-etcd-endpoints=${endpoint}`]);
}
