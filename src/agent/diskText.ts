/** What is to be said of the view on disk, which counts while etcd is silent. */
import { type DiskView, subnetsText } from '../lease/index.ts';

/** What counts from the start. */
export function bootText({ revision, confirmedAt }: DiskView, leases: number): string {
  const when = confirmedAt === undefined ? '' : `, of ${timeText(confirmedAt)}`;
  return `${leases} leases from the view on disk (revision ${revision}${when}) until etcd answers`;
}

/**
 * Whether our own key may have run out since etcd was last seen to have it; `wall` is now, in milliseconds since the epoch.
 * A clock that was set back, as one without a battery is at a boot, does not tell how long ago that was.
 */
export function hasLapsed({ confirmedAt }: DiskView, ttlSeconds: number, wall: number): boolean {
  if (confirmedAt === undefined || confirmedAt > wall) return true;
  return wall - confirmedAt > ttlSeconds * 1_000;
}

/** Why our own subnet is held by the disk's word alone, as a clause. */
export function silenceText(disk: DiskView, ttlSeconds: number, wall: number, why: string): string {
  if (!hasLapsed(disk, ttlSeconds, wall)) return why;
  const { confirmedAt } = disk;
  const last = confirmedAt === undefined ? 'never' : `last at ${timeText(confirmedAt)}`;
  const ahead =
    confirmedAt !== undefined && confirmedAt > wall ? ', which this clock says is yet to come' : '';
  return `${why}; its key was seen in etcd ${last}${ahead}, and lives ${ttlSeconds} s without this host: the subnet may belong to another one by now`;
}

/** Why nothing is held at a start without etcd, though the disk names a subnet. */
export const unheldText = (name: string): string =>
  `subnet ${subnetsText(name)} may be another host's by now, or is not in the network config: waiting for etcd`;

const timeText = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`;
