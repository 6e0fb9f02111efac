/**
 * Agents and an etcd cluster under random faults, in rounds: after each round it becomes quiet, and every kernel must come
 * to what the leases say. No foreign route changes, no subnet changes, no agent ends by itself.
 */
import assert from 'node:assert/strict';
import type { Host } from '../../src/lab/index.ts';
import { seeded } from '../support/seeded.ts';
import { until } from '../support/until.ts';
import { ClusterChaos, type Seat } from './clusterChaos.ts';
import { CONFIG_KEY, SUBNETS } from './enemy.ts';
import { type Cluster, leaderOf, withCluster } from './members.ts';
import { nth, READY } from './recipe.ts';

// Agents pick below 200; guests come and go above it.
const CONFIG =
  '{"Network":"10.100.0.0/16","SubnetMax":"10.100.199.0","Backend":{"Type":"host-gw"}}';
const BELIEVED = /^10\.100\.(\d+)\.0-24$/;
const HOSTILE_FROM = 230;
const PATIENCE_MS = 90_000;

export interface ChaosOptions {
  readonly seed: number;
  readonly agents: number;
  readonly rounds: number;
  readonly roundMs: number;
}

/** Gives, of each round, how long it took from quiet until every kernel was right, and how many things had happened. */
export async function runChaos(options: ChaosOptions): Promise<{ ms: number[]; faults: number }> {
  const result = { ms: [] as number[], faults: 0 };
  await withCluster({ hosts: options.agents }, async (cluster) => {
    await nth(cluster.members, 0).ctl(['put', CONFIG_KEY, CONFIG]);
    const seats = await Promise.all(
      cluster.hosts.map(async (host): Promise<Seat> => {
        await addForeignRoutes(host);
        return { host, agent: await cluster.agent(host), killed: false };
      }),
    );
    const foreign = await Promise.all(seats.map(({ host }) => foreignRoutes(host)));
    const watches = seats.map(({ host }) =>
      host.spawn('ip monitor', ['ip', '-4', 'monitor', 'route']),
    );
    const keys = await ownKeys(cluster);
    assert.equal(keys.size, options.agents);
    const chaos = new ClusterChaos(cluster, seats, seeded(options.seed));
    try {
      for (let round = 0; round < options.rounds; round += 1) {
        const quietAt = await chaos.run(options.roundMs);
        await settled(cluster, seats, keys);
        result.ms.push(performance.now() - quietAt);
        assert.deepEqual(
          seats.filter(({ agent, killed }) => agent.exit !== undefined && !killed),
          [],
          'an agent ended by itself',
        );
        assert.deepEqual(await Promise.all(seats.map(({ host }) => foreignRoutes(host))), foreign);
        assert.deepEqual(await ownKeys(cluster), keys);
      }
      for (const watch of watches)
        assert.deepEqual(
          watch.lines.filter(({ text }) => text.includes('foreign0')),
          [],
        );
    } catch (error) {
      const story = chaos.story.slice(-80).join('\n');
      throw new Error(`SEED=${options.seed}: ${String(error)}\n${story}`, { cause: error });
    }
    result.faults = chaos.story.length;
  });
  return result;
}

/** On a device of their own, so that a flapped uplink does not take them along. */
async function addForeignRoutes(host: Host): Promise<void> {
  const steps = [
    'link add foreign0 type veth peer name foreign1',
    'link set foreign1 up',
    'addr add 172.31.0.1/24 dev foreign0',
    'link set foreign0 up',
    'route add 198.51.100.0/24 via 172.31.0.2 dev foreign0 proto static',
    'route add 10.100.240.0/24 via 172.31.0.3 dev foreign0 proto 186',
    'route add 10.100.0.0/16 via 172.31.0.4 dev foreign0 metric 900',
  ];
  await host.must(['ip', '-batch', '-'], { input: `${steps.join('\n')}\n` });
}

const foreignRoutes = (host: Host): Promise<string> =>
  host.must(['ip', 'route', 'show', 'dev', 'foreign0']);

/** Address of an agent's host to its key. */
async function ownKeys(cluster: Cluster): Promise<Map<string, string>> {
  const all = await leases(cluster);
  const mine = new Set(cluster.hosts.map(({ address }) => address));
  const own = all
    .filter(([, gateway]) => mine.has(gateway))
    .map(([name, gateway]) => [gateway, name] as const);
  assert.equal(new Map(own).size, own.length, `one host, two keys: ${own.join(' ')}`);
  return new Map([...own].sort());
}

/** Name and gateway of every lease that deserves a route. */
async function leases(cluster: Cluster): Promise<[name: string, gateway: string][]> {
  const member = await leaderOf(cluster.members);
  return [...(await member.list(SUBNETS))].flatMap(([key, value]): [string, string][] => {
    const name = key.slice(SUBNETS.length);
    const third = BELIEVED.exec(name)?.[1];
    if (third === undefined || Number(third) >= HOSTILE_FROM) return [];
    const gateway = /"PublicIP":"([0-9.]+)"/.exec(value)?.[1];
    return gateway === undefined ? [] : [[name, gateway]];
  });
}

/** Waits until every agent has its key of old and every kernel has the routes of the leases, no more and no less. */
async function settled(
  cluster: Cluster,
  seats: readonly Seat[],
  keys: ReadonlyMap<string, string>,
): Promise<void> {
  let missing = '';
  const isSettled = async (): Promise<boolean> => {
    const all = await leases(cluster);
    for (const { host } of seats) {
      const own = keys.get(host.address);
      if (!all.some(([name, gateway]) => name === own && gateway === host.address)) {
        missing = `the key ${own} of ${host.name}`;
        return false;
      }
      const wanted = all
        .filter(([, gateway]) => gateway !== host.address)
        .map(([name, gateway]) => `${name.replace('-', '/')} via ${gateway}`)
        .sort();
      const text = await host.must(['ip', 'route', 'show', 'proto', '104']);
      const found = [...text.matchAll(/^(\S+ via \S+)/gm)].map((match) => match[1] ?? '').sort();
      if (found.join() !== wanted.join()) {
        missing = `${host.name} has\n${found.join('\n')}\nbut the leases say\n${wanted.join('\n')}`;
        return false;
      }
    }
    return true;
  };
  const look = (): Promise<boolean> =>
    isSettled().catch((error: unknown) => {
      missing = String(error);
      return false;
    });
  await until('every kernel is as the leases say', look, PATIENCE_MS).catch(async (error) => {
    const agents = seats.map(({ agent }) => agent.lastWords()).join('\n');
    throw new Error(`${String(error)}: ${missing}\n${agents}`);
  });
  // Agents that were started last are ready too: what they wait for is no longer missing.
  await Promise.all(seats.map(({ agent }) => agent.waitFor(READY, PATIENCE_MS)));
}
