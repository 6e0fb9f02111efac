/**
 * Agents behind one `etcd grpc-proxy`, which answers no request for progress, names no cluster, and renews leases on its
 * own clock: what holds on a member holds there too.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  findEtcd,
  type Host,
  type LabEtcd,
  type LabProcess,
  openLab,
  recipeA,
  startEtcd,
} from '../../src/lab/index.ts';
import { needs } from '../support/needs.ts';
import { FIGURES } from '../support/netns.ts';
import * as enemy from './enemy.ts';
import { CONFIG_A, nth, READY, routesOf } from './recipe.ts';

const tools = ['root', 'ip', 'unshare', 'setpriv', 'nsenter', 'etcd', 'etcdctl'];
const options = { skip: needs(...tools) ?? false, timeout: 180_000 };
const PROXY_PORT = 23790;

interface Standing {
  /** Has etcd and the proxy. */
  readonly first: Host;
  readonly etcd: LabEtcd;
  readonly host: Host;
  readonly agent: LabProcess;
}

async function startProxy(host: Host): Promise<LabProcess> {
  const address = `${host.address}:${PROXY_PORT}`;
  const proxy = host.spawn('grpc-proxy', [
    ...[findEtcd() ?? '', 'grpc-proxy', 'start', `--endpoints=${host.address}:2379`],
    ...[`--listen-addr=${address}`, `--advertise-client-url=${address}`],
    '--data-dir=/run/lab/proxy',
  ]);
  await proxy.waitFor(/listening for gRPC proxy client requests|started gRPC proxy/i);
  return proxy;
}

/** Two hosts with agents that know only the proxy. */
async function behindProxy(use: (standing: Standing) => Promise<void>): Promise<void> {
  const lab = await openLab(recipeA(2));
  try {
    const [first, host] = [nth(lab.hosts, 0), nth(lab.hosts, 1)];
    const etcd = await startEtcd(first);
    await startProxy(first);
    await etcd.put(enemy.CONFIG_KEY, CONFIG_A);
    const args = [`--etcd-endpoints=http://${first.address}:${PROXY_PORT}`];
    const agents = lab.hosts.map((each) => each.spawnAgent({ args }));
    await Promise.all(agents.map((each) => each.waitFor(READY)));
    await Promise.all(agents.map((each) => each.waitFor('subnet added: ')));
    await use({ first, etcd, host, agent: nth(agents, 1) });
  } finally {
    await lab.close();
  }
}

describe('behind a grpc-proxy', () => {
  test('a put reaches the routes, and its delete takes them away', options, () =>
    behindProxy(async ({ first, host, agent }) => {
      const sent = performance.now();
      await enemy.put(first, '10.100.250.0-24', enemy.lease('10.10.10.50'));
      await enemy.routed(host, '10.100.250.0/24 via 10.10.10.50');
      process.stdout.write(
        `${FIGURES}behind grpc-proxy: put to route at most ${(performance.now() - sent).toFixed(0)} ms, etcdctl and the look included\n`,
      );
      await enemy.del(first, '10.100.250.0-24');
      await agent.waitFor('subnet removed: 10.100.250.0/24');
    }),
  );

  test('our key, deleted by an operator, is put again, and no route changes', options, () =>
    behindProxy(async ({ first, etcd, host }) => {
      const keys = await etcd.list(enemy.SUBNETS);
      const key = await enemy.mustKeyOf(etcd, host.address);
      const changes = await enemy.changesDuring(host, async () => {
        const deleted = performance.now();
        await enemy.del(first, key);
        assert.equal(await enemy.mustKeyOf(etcd, host.address), key);
        process.stdout.write(
          `${FIGURES}behind grpc-proxy: own key back after ${(performance.now() - deleted).toFixed(0)} ms\n`,
        );
      });
      assert.deepEqual(changes, []);
      assert.deepEqual(await etcd.list(enemy.SUBNETS), keys);
    }),
  );

  test(
    'our key, overwritten by another host, is left to it, said loudly, and taken again when it goes',
    options,
    () =>
      behindProxy(async ({ first, etcd, host, agent }) => {
        const key = await enemy.mustKeyOf(etcd, host.address);
        const before = await routesOf(host);
        await enemy.put(first, key, enemy.lease('10.10.10.77'));
        await agent.waitFor(/error .*belongs to 10\.10\.10\.77/);
        assert.deepEqual(await routesOf(host), before);
        await enemy.del(first, key);
        assert.equal(await enemy.mustKeyOf(etcd, host.address), key);
        assert.equal(agent.exit, undefined);
      }),
  );

  test(
    'etcd dead behind the proxy and back: no route and no key changes, and puts arrive again',
    options,
    () =>
      behindProxy(async ({ first, etcd, host, agent }) => {
        const keys = await etcd.list(enemy.SUBNETS);
        const from = agent.lines.length;
        const changes = await enemy.changesDuring(host, async () => {
          etcd.process.kill('SIGKILL');
          await agent.waitFor(/warn +etcd: /, 60_000, from);
          const back = await enemy.restartEtcd(first, etcd, 'kept');
          await agent.waitFor('etcd: in order again', 60_000, from);
          assert.deepEqual(await back.list(enemy.SUBNETS), keys);
        });
        assert.deepEqual(changes, []);
        await enemy.put(first, '10.100.250.0-24', enemy.lease('10.10.10.50'));
        await enemy.routed(host, '10.100.250.0/24 via 10.10.10.50', 60_000);
      }),
  );
});
