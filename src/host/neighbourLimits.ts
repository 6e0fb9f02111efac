/**
 * How many ordinary neighbour entries the kernel holds: one number a family, for all namespaces of the machine together.
 * The switch can only be seen in the first network namespace; elsewhere the kernel's default is taken.
 */
import { readFile } from 'node:fs/promises';
import type { Family } from '../ip/index.ts';

/** gc_thresh3 of each family. */
export type NeighbourLimits = Readonly<Record<Family, number>>;

const DEFAULT = 1024;

/** `root` stands for /proc/sys/net (a parameter for tests). */
export async function readNeighbourLimits(root = '/proc/sys/net'): Promise<NeighbourLimits> {
  const limit = async (family: Family): Promise<number> => {
    const path = `${root}/ipv${family}/neigh/default/gc_thresh3`;
    const text = await readFile(path, 'utf8').catch(() => '');
    const value = Number(text.trim() || Number.NaN);
    return Number.isInteger(value) && value > 0 ? value : DEFAULT;
  };
  const [v4, v6] = await Promise.all([limit(4), limit(6)]);
  return { 4: v4, 6: v6 };
}
