/** The sentences about the view on disk, which counts while etcd is silent. */
import type { DiskView } from '../lease/index.ts';

/** What counts from the start. */
export function bootText({ revision, confirmedAt }: DiskView, leases: number): string {
  const when = confirmedAt === undefined ? '' : `, of ${timeText(confirmedAt)}`;
  return `${leases} leases from the view on disk (revision ${revision}${when}) until etcd answers`;
}

/** Why our own subnet is held by the disk's word alone, as a clause; `wall` is now, in milliseconds since the epoch. */
export function silenceText(
  { confirmedAt }: DiskView,
  ttlSeconds: number,
  wall: number,
  why: string,
): string {
  if (confirmedAt !== undefined && wall - confirmedAt <= ttlSeconds * 1_000) return why;
  const last = confirmedAt === undefined ? 'never' : `last at ${timeText(confirmedAt)}`;
  return `${why}; its key was seen in etcd ${last}, and lives ${ttlSeconds} s without this host: the subnet may belong to another one by now`;
}

const timeText = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`;
