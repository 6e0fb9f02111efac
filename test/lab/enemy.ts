/** What tests that attack a running agent need: etcd at one's mercy, and the kernel's word about what changed. */
import assert from 'node:assert/strict';
import {
  type Host,
  type LabEtcd,
  type LabProcess,
  startEtcd,
  watchRoutes,
} from '../../src/lab/index.ts';
import { until } from '../support/until.ts';
import { nth, routesOf } from './recipe.ts';

export const ENDPOINT = 'http://10.10.10.101:2379';
export const ARGS = [`--etcd-endpoints=${ENDPOINT}`];
export const CONFIG_KEY = '/coreos.com/network/config';
export const SUBNETS = '/coreos.com/network/subnets/';

export const lease = (gateway: string): string =>
  JSON.stringify({ PublicIP: gateway, BackendType: 'host-gw' });

export function etcdctl(host: Host, args: readonly string[], input?: string): Promise<string> {
  const command = ['env', 'ETCDCTL_API=3', 'etcdctl', `--endpoints=${ENDPOINT}`, ...args];
  return host.must(command, input === undefined ? {} : { input });
}

export const put = (host: Host, name: string, value: string): Promise<string> =>
  etcdctl(host, ['put', SUBNETS + name, value]);
export const del = (host: Host, name: string): Promise<string> =>
  etcdctl(host, ['del', SUBNETS + name]);

/** Puts many leases, a hundred a transaction. */
export async function putAll(host: Host, leases: readonly (readonly [string, string])[]) {
  for (let from = 0; from < leases.length; from += 100) {
    const puts = leases
      .slice(from, from + 100)
      .map(([name, value]) => `put ${SUBNETS}${name} ${JSON.stringify(value)}`);
    await etcdctl(host, ['txn'], `\n${puts.join('\n')}\n\n\n`);
  }
}

/** The name of the only key with this address, e.g. 10.100.3.0-24; undefined if there is none. */
export async function keyOf(etcd: LabEtcd, address: string): Promise<string | undefined> {
  const all = [...(await etcd.list(SUBNETS))].filter(([, value]) => value.includes(`"${address}"`));
  assert.ok(all.length <= 1, `${address} has ${all.map(([key]) => key).join(' and ')}`);
  return all[0]?.[0].slice(SUBNETS.length);
}

export async function mustKeyOf(etcd: LabEtcd, address: string): Promise<string> {
  let found: string | undefined;
  await until(`${address} has a key`, async () => {
    found = await keyOf(etcd, address);
    return found !== undefined;
  });
  assert.ok(found !== undefined);
  return found;
}

/** kill -9 of etcd, then a new one: with its data, or empty under the same name and addresses. */
export async function restartEtcd(host: Host, etcd: LabEtcd, data: 'kept' | 'wiped') {
  etcd.process.kill('SIGKILL');
  await etcd.process.exited;
  if (data === 'wiped') await host.must(['rm', '-rf', '/run/etcd']);
  return startEtcd(host);
}

/** Changes of routes with a gateway that the kernel of `host` told of while `work` ran, without their times. */
export async function changesDuring(host: Host, work: () => Promise<void>): Promise<string[]> {
  const watch = await watchRoutes(host);
  await work();
  // The kernel tells in order: once this one is seen, all earlier ones have been.
  const mark = '203.0.113.0/24';
  await host.must(['ip', 'route', 'add', mark, 'via', '10.10.10.1']);
  await watch.process.waitFor(mark);
  await host.must(['ip', 'route', 'del', mark, 'via', '10.10.10.1']);
  const changes = watch.changes().filter((line) => !line.includes(mark));
  await watch.stop();
  return changes.map((line) => line.replace(/^\[[^\]]*\] ?/, '').trim());
}

export const routed = (host: Host, route: string, timeoutMs?: number): Promise<void> =>
  until(
    `${host.name} has ${route}`,
    async () => (await routesOf(host)).some((line) => line.startsWith(route)),
    timeoutMs,
  );

/** Lines of the agent, from number `from` on, that match. */
export const said = (agent: LabProcess, pattern: RegExp, from = 0): string[] =>
  agent.lines.slice(from).flatMap(({ text }) => (pattern.test(text) ? [text] : []));

/** Kills an agent, also one that has not even been started yet. */
export async function killHard(agent: LabProcess): Promise<void> {
  await until('the agent can be killed', () => agent.exit !== undefined || agent.kill('SIGKILL'));
  await agent.exited;
}

/** Ends an agent in order: by itself, with exit code 0. */
export async function endsWell(agent: LabProcess): Promise<void> {
  agent.kill('SIGTERM');
  assert.deepEqual(await agent.exited, { code: 0, signal: null }, agent.lastWords());
}

export const last = <T>(list: readonly T[]): T => nth(list, -1);
