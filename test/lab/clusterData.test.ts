/** Agents on a cluster of three members that is restored from a backup, or full: nothing is lost, nothing removed wrongly. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { KEPT, NEW, newKey, options, route, tell, undisturbed, withRoute } from './clusterScene.ts';
import { routed, SUBNETS } from './enemy.ts';
import {
  cutFromEtcd,
  fillDisk,
  freeDisk,
  mend,
  putLease,
  putToRoute,
  restoreBackup,
  saveBackup,
} from './members.ts';
import { nth } from './recipe.ts';

describe('a cluster of three', () => {
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
