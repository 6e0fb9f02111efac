/**
 * Agents on a cluster of three members: a leader that dies, a member cut off from the quorum, a compaction that an agent
 * slept through. A put reaches the routes again, nothing is lost, nothing removed wrongly.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { KEPT, NEW, newKey, options, route, tell, undisturbed, withRoute } from './clusterScene.ts';
import { changesDuring, routed, SUBNETS, said } from './enemy.ts';
import { cutFromEtcd, mend, others, partition, putLease, putToRoute } from './members.ts';
import { nth } from './recipe.ts';

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
});
