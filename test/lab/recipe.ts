/** The two recipes as they stand on real hosts, run up to the point where a test takes over. */
import assert from 'node:assert/strict';
import {
  type AgentOptions,
  type Container,
  type Host,
  type Lab,
  type LabEtcd,
  type LabOptions,
  type LabProcess,
  openLab,
  recipeA,
  recipeB,
  startEtcd,
  watchRoutes,
} from '../../src/lab/index.ts';

export interface Standing {
  readonly lab: Lab;
  readonly hosts: readonly Host[];
  readonly etcd: LabEtcd;
  readonly agents: LabProcess[];
  /** From the put of the config until every kernel has its last route. */
  readonly routesMs: number;
}

export interface RecipeOptions {
  readonly ipForward?: boolean;
  readonly agent?: AgentOptions;
}

export const CONFIG_A = '{"Network":"10.100.0.0/16","Backend":{"Type":"host-gw"}}';
export const CONFIG_B =
  '{"Network":"192.168.0.0/16","SubnetLen":26,"SubnetMin":"192.168.0.64","SubnetMax":"192.168.250.192","Backend":{"Type":"host-gw"}}';
export const READY = /(^|\s)ready$/;

/** An item that must be there. */
export function nth<T>(list: readonly T[], index: number): T {
  const item = list.at(index);
  assert.ok(item !== undefined, `there is an item ${index}`);
  return item;
}

/** Recipe A with `count` hosts: agents wait for the config, the config is put, all routes are there. */
export function withRecipeA(
  count: number,
  options: RecipeOptions,
  use: (standing: Standing) => Promise<void>,
): Promise<void> {
  const args = ['--etcd-endpoints=http://10.10.10.101:2379', ...(options.agent?.args ?? [])];
  const plan = { ...recipeA(count), ipForward: options.ipForward ?? false };
  return stand(plan, { ...options.agent, args }, '/coreos.com/network', CONFIG_A, use);
}

/** Recipe B: flannel's command line in Go's spelling, etcd by name, a prefix of its own. */
export function withRecipeB(
  extra: readonly string[],
  use: (standing: Standing) => Promise<void>,
): Promise<void> {
  const args = [
    ...['-etcd-endpoints=http://etcd-server:2379', '-etcd-prefix=/cluster.hostgw/network'],
    ...['-logtostderr=true', '-v=3', ...extra],
  ];
  return stand(recipeB(), { args }, '/cluster.hostgw/network', CONFIG_B, use);
}

async function stand(
  plan: LabOptions,
  agent: AgentOptions,
  prefix: string,
  config: string,
  use: (standing: Standing) => Promise<void>,
): Promise<void> {
  const lab = await openLab(plan);
  try {
    const etcd = await startEtcd(nth(lab.hosts, 0));
    const agents = lab.hosts.map((host) => host.spawnAgent(agent));
    const waiting = `waiting for the network config in etcd key ${prefix}/config`;
    await Promise.all(agents.map((process) => process.waitFor(waiting)));
    const watches = await Promise.all(lab.hosts.map(watchRoutes));
    const put = performance.now();
    await etcd.put(`${prefix}/config`, config);
    const peers = lab.hosts.length - 1;
    const times = await Promise.all(watches.map((watch) => watch.added(peers)));
    const routesMs = Math.max(...times) - put;
    await Promise.all(watches.map((watch) => watch.stop()));
    await Promise.all(agents.map((process) => process.waitFor(READY)));
    await Promise.all(agents.map((process) => process.waitForAll('subnet added: ', peers)));
    await use({ lab, hosts: lab.hosts, etcd, agents, routesMs });
  } finally {
    await lab.close();
  }
}

/** Every container pings every other: each reply has passed two routers. */
export async function assertAllReach(containers: readonly Container[]): Promise<void> {
  const wanted = containers.flatMap((from) =>
    containers.flatMap((to) => (to === from ? [] : [`${from.name} -> ${to.name} ttl=62`])),
  );
  const found = await Promise.all(
    containers.map(async (from) => {
      const others = containers.filter((other) => other !== from);
      const replies = await from.ping(others.map((other) => other.address));
      return others.map((to) => {
        const reply = replies.get(to.address);
        return `${from.name} -> ${to.name} ${reply ? `ttl=${reply.ttl}` : 'no answer'}`;
      });
    }),
  );
  assert.deepEqual(found.flat(), wanted);
}

/** From the first container to the last: docker0, the peer host, the container. */
export async function assertPath(containers: readonly Container[]): Promise<void> {
  const [from, to] = [nth(containers, 0), nth(containers, -1)];
  const bridge = (await from.host.subnetFile())?.['FLANNEL_SUBNET']?.replace(/\/\d+$/, '');
  const hops = (await from.traceroute(to.address)) ?? [];
  assert.deepEqual(
    hops.map((hop) => hop.address),
    [bridge, to.host.address, to.address],
  );
}

export async function routesOf(host: Host): Promise<string[]> {
  const lines = (await host.must(['ip', 'route'])).trim().split('\n');
  return lines.map((line) => line.trim());
}
