/** etcd without its agents for some times as long as their leases live: because it is dead, or because they are cut off. */
import assert from 'node:assert/strict';
import type { Host, LabEtcd } from '../../src/lab/index.ts';
import { until } from '../support/until.ts';
import * as enemy from './enemy.ts';
import { cutFromEtcd, mend } from './members.ts';
import { nth, withRecipeA } from './recipe.ts';

/** The shortest that the agent takes. */
const TTL_SECONDS = 5;
const PATIENCE_MS = 90_000;
/** So many that all peers at once are a mass loss. */
const HOSTS = 4;

export interface Outage {
  readonly name: string;
  readonly begin: (first: Host, etcd: LabEtcd) => Promise<unknown>;
  /** Gives the etcd that is there then. */
  readonly end: (first: Host, etcd: LabEtcd) => Promise<LabEtcd>;
}

export const OUTAGES: readonly Outage[] = [
  {
    name: 'etcd dead',
    async begin(_first, etcd) {
      etcd.process.kill('SIGKILL');
      await etcd.process.exited;
    },
    end: (first, etcd) => enemy.restartEtcd(first, etcd, 'kept'),
  },
  {
    // The leases run out there, and all keys go.
    name: 'agents cut off from a living etcd',
    begin: cutFromEtcd,
    async end(first, etcd) {
      await until('the leases have run out', async () => {
        const keys = await etcd.list(enemy.SUBNETS);
        return keys.size === 0;
      });
      await mend(first);
      return etcd;
    },
  },
];

/** `ttls`: how many times as long as a lease lives. */
export function outage({ begin, end }: Outage, ttls: number): Promise<void> {
  const agent = { args: [`--subnet-lease-ttl=${TTL_SECONDS}`] };
  return withRecipeA(HOSTS, { agent }, async ({ hosts, agents, etcd }) => {
    const [first, watched] = [nth(hosts, 0), nth(hosts, 1)];
    const keys = await etcd.list(enemy.SUBNETS);
    const from = agents.map(({ lines }) => lines.length);
    const changes = await enemy.changesDuring(watched, async () => {
      await begin(first, etcd);
      const over = performance.now() + ttls * TTL_SECONDS * 1_000;
      await until('it has lasted long enough', () => performance.now() > over, PATIENCE_MS);
      const back = await end(first, etcd);
      for (const [index, each] of agents.entries()) {
        await each.waitFor('lease acquired: ', PATIENCE_MS, from[index]);
        await each.waitFor('etcd: in order again', PATIENCE_MS, from[index]);
      }
      const same = async (): Promise<boolean> =>
        [...(await back.list(enemy.SUBNETS))].join() === [...keys].join();
      await until('every host has its old key, and nobody another', same, PATIENCE_MS);
    });
    assert.deepEqual(changes, []);
    for (const each of agents) {
      assert.equal(each.exit, undefined);
      assert.ok(enemy.said(each, /warn +holding subnet /).length > 0, each.lastWords());
    }
  });
}
