/** One agent on a cluster with one lease, what must not change while something befalls the cluster, and how long puts take. */
import assert from 'node:assert/strict';
import type { Host } from '../../src/lab/index.ts';
import { needs } from '../support/needs.ts';
import { FIGURES } from '../support/netns.ts';
import { changesDuring, SUBNETS } from './enemy.ts';
import { type Cluster, putLease, withCluster } from './members.ts';
import { nth } from './recipe.ts';

const tools = ['root', 'ip', 'unshare', 'setpriv', 'nsenter', 'nft', 'etcd', 'etcdctl'];
export const options = { skip: needs(...tools) ?? false, timeout: 180_000 };
export const KEPT = '10.100.201.0-24';
export const NEW = '10.100.202.0-24';
export const route = (name: string): string => name.replace('-', '/');

/** The time from a put that the cluster took to the route, for people to read. */
export function tell(what: string, ms: number): void {
  process.stdout.write(`${FIGURES}${what}: put to route ${ms.toFixed(1)} ms\n`);
}

/** What `work` did must leave every route of `host` alone but those to NEW and, if there is one, to a host that is new. */
export async function undisturbed(
  host: Host,
  work: () => Promise<void>,
  late?: Host,
): Promise<void> {
  const changes = await changesDuring(host, work);
  assert.deepEqual(
    changes.filter(
      (change) =>
        !change.startsWith(route(NEW)) && !(late && change.includes(`/24 via ${late.address} `)),
    ),
    [],
  );
}

export async function withRoute(
  hosts: number,
  use: (cluster: Cluster) => Promise<void>,
  etcd?: string[],
) {
  await withCluster({ hosts, ...(etcd && { etcd }) }, async (cluster) => {
    await putLease(nth(cluster.members, 0), KEPT, '10.10.10.61');
    await use(cluster);
  });
}

export async function newKey(member: Cluster['members'][number]): Promise<[string, string][]> {
  return [...(await member.list(SUBNETS + NEW))];
}
