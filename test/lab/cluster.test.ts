/**
 * Agents on a cluster of three members: a leader that dies, a member cut off from the quorum, a compaction that an agent
 * slept through, a restored backup, a full disk. A put reaches the routes again, nothing is lost, nothing removed wrongly.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Host } from '../../src/lab/index.ts';
import { needs } from '../support/needs.ts';
import { FIGURES } from '../support/netns.ts';
import { changesDuring, routed, SUBNETS, said } from './enemy.ts';
import {
  type Cluster,
  cutFromEtcd,
  fillDisk,
  freeDisk,
  mend,
  others,
  partition,
  putLease,
  putToRoute,
  restoreBackup,
  saveBackup,
  withCluster,
} from './members.ts';
import { nth } from './recipe.ts';

const tools = ['root', 'ip', 'unshare', 'setpriv', 'nsenter', 'nft', 'etcd', 'etcdctl'];
const options = { skip: needs(...tools) ?? false, timeout: 180_000 };
const KEPT = '10.100.201.0-24';
const NEW = '10.100.202.0-24';
const route = (name: string): string => name.replace('-', '/');

/** The time from a put that the cluster took to the route, for people to read. */
function tell(what: string, ms: number): void {
  process.stdout.write(`${FIGURES}${what}: put to route ${ms.toFixed(1)} ms\n`);
}

/** What `work` did must leave every route of `host` alone but those to NEW and, if there is one, to a host that is new. */
async function undisturbed(host: Host, work: () => Promise<void>, late?: Host): Promise<void> {
  const changes = await changesDuring(host, work);
  assert.deepEqual(
    changes.filter(
      (change) =>
        !change.startsWith(route(NEW)) && !(late && change.includes(`/24 via ${late.address} `)),
    ),
    [],
  );
}

async function withRoute(hosts: number, use: (cluster: Cluster) => Promise<void>, etcd?: string[]) {
  await withCluster({ hosts, ...(etcd && { etcd }) }, async (cluster) => {
    await putLease(nth(cluster.members, 0), KEPT, '10.10.10.61');
    await use(cluster);
  });
}

describe('on a cluster of three', () => {
  test(
    'the leader, which the agent used, is killed: puts arrive again, nothing else changes',
    options,
    () =>
      withRoute(1, async (cluster) => {
        const host = nth(cluster.hosts, 0);
        const leader = await cluster.leader();
        const rest = others(cluster.members, leader);
        const endpoints = [leader, ...rest].map(({ endpoint }) => endpoint).join(',');
        const agent = await cluster.agent(host, [`--etcd-endpoints=${endpoints}`]);
        await routed(host, route(KEPT));
        const keys = await nth(rest, 0).list(SUBNETS);
        await undisturbed(host, async () => {
          await leader.kill();
          tell('leader killed', await putToRoute(host, NEW, nth(rest, 0)));
        });
        assert.deepEqual(
          await nth(rest, 0).list(SUBNETS),
          new Map([...keys, ...(await newKey(nth(rest, 0)))]),
        );
        assert.equal(agent.exit, undefined);
      }),
  );

  test(
    'the member in use is cut off from the quorum: the agent moves to another, and stays',
    options,
    () =>
      withRoute(1, async (cluster) => {
        const host = nth(cluster.hosts, 0);
        const [first, second] = [nth(cluster.members, 0), nth(cluster.members, 1)];
        const agent = await cluster.agent(host);
        await routed(host, route(KEPT));
        await undisturbed(host, async () => {
          await partition(first.host);
          tell('member cut off, others known', await putToRoute(host, NEW, second));
        });
        const lines = said(agent, /docker1|10\.10\.10\.101/);
        assert.ok(lines.length <= 3, lines.join('\n'));
        assert.equal(agent.exit, undefined);
      }),
  );

  test(
    'the only member that the agent knows is cut off: named, and caught up with when it is back',
    options,
    () =>
      withRoute(1, async (cluster) => {
        const host = nth(cluster.hosts, 0);
        const [first, second] = [nth(cluster.members, 0), nth(cluster.members, 1)];
        const agent = await cluster.agent(host, [`--etcd-endpoints=${first.endpoint}`]);
        await routed(host, route(KEPT));
        const from = agent.lines.length;
        await undisturbed(host, async () => {
          await partition(first.host);
          await agent.waitFor(
            /10\.10\.10\.101:2379 (has no leader|did not answer in time)/,
            60_000,
            from,
          );
          await agent.waitFor(/warn +etcd: /, 60_000, from);
          await putLease(second, NEW, '10.10.10.62');
          await mend(first.host);
          const healed = performance.now();
          await routed(host, route(NEW), 60_000);
          tell('member back in the quorum (from its being reachable)', performance.now() - healed);
          await agent.waitFor('etcd: in order again', 60_000, from);
        });
      }),
  );

  test(
    'history is compacted while the agent is cut off: it learns all, also what is gone',
    options,
    () =>
      withRoute(1, async (cluster) => {
        const host = nth(cluster.hosts, 0);
        const member = nth(cluster.members, 0);
        await putLease(member, NEW, '10.10.10.62');
        const agent = await cluster.agent(host);
        await routed(host, route(NEW));
        const from = agent.lines.length;
        const changes = await changesDuring(host, async () => {
          await cutFromEtcd(host);
          await agent.waitFor(/warn +etcd: /, 60_000, from);
          await member.ctl(['del', SUBNETS + NEW]);
          await putLease(member, '10.100.203.0-24', '10.10.10.63');
          await member.compact();
          await mend(host);
          const healed = performance.now();
          await routed(host, '10.100.203.0/24', 60_000);
          tell('compacted while disconnected (from the mending)', performance.now() - healed);
          await agent.waitFor(`subnet removed: ${route(NEW)}`, 60_000, from);
        });
        assert.ok(
          changes.every((change) => /10\.100\.20[23]\.0/.test(change)),
          changes.join('\n'),
        );
      }),
  );

  for (const then of ['as it was', 'with more written since than was lost'] as const) {
    test(`a backup is restored, ${then}: no route goes, keys newer than it return`, options, () =>
      withRoute(2, async (cluster) => {
        const [host, late] = [nth(cluster.hosts, 0), nth(cluster.hosts, 1)];
        const member = nth(cluster.members, 0);
        const agent = await cluster.agent(host);
        const backup = await saveBackup(member);
        // Newer than the backup: a host with an agent, and a lease of nobody's.
        await cluster.agent(late);
        await putLease(member, '10.100.203.0-24', '10.10.10.63');
        await routed(host, '10.100.203.0/24');
        const keys = await member.list(SUBNETS);
        const from = agent.lines.length;
        await undisturbed(host, async () => {
          if (then !== 'as it was') await cutFromEtcd(host);
          await restoreBackup(cluster.members, backup);
          if (then !== 'as it was') {
            for (let i = 0; i < 40; i += 1) await member.ctl(['put', '/beside', String(i)]);
            await mend(host);
          }
          tell(`restored from a backup, ${then}`, await putToRoute(host, NEW, member));
          await agent.waitFor('sweep-held: ', 60_000, from);
          await putLease(member, '10.100.203.0-24', '10.10.10.63');
          await agent.waitFor('sweep-held: in order again', 60_000, from);
        });
        assert.deepEqual(await member.list(SUBNETS), new Map([...keys, ...(await newKey(member))]));
      }),
    );
  }

  test(
    'the disk of etcd is full (NOSPACE): named with its cure, nothing changes, and all is well after it',
    options,
    () =>
      withRoute(
        2,
        async (cluster) => {
          const [host, late] = [nth(cluster.hosts, 0), nth(cluster.hosts, 1)];
          const member = nth(cluster.members, 0);
          const agent = await cluster.agent(host);
          await routed(host, route(KEPT));
          const [key] = [...(await member.list(SUBNETS))].find(([, value]) =>
            value.includes(`"${host.address}"`),
          ) ?? [''];
          const from = agent.lines.length;
          await undisturbed(
            host,
            async () => {
              await fillDisk(member);
              await member.ctl(['del', key]);
              await agent.waitFor(/out of space \(alarm NOSPACE\)/, 60_000, from);
              const waiting = late.spawnAgent({ args: [`--etcd-endpoints=${cluster.endpoints}`] });
              await waiting.waitFor(/out of space \(alarm NOSPACE\)/, 60_000);
              await freeDisk(cluster.members);
              tell('disk full, then freed', await putToRoute(host, NEW, member));
              await waiting.waitFor(/lease acquired/, 60_000);
              await agent.waitFor(/lease acquired/, 60_000, from);
            },
            late,
          );
          assert.ok((await member.list(SUBNETS)).has(key));
          assert.equal(agent.exit, undefined);
        },
        ['--quota-backend-bytes=4194304'],
      ),
  );
});

async function newKey(member: Cluster['members'][number]): Promise<[string, string][]> {
  return [...(await member.list(SUBNETS + NEW))];
}
