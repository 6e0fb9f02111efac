/** What a killed lab may have left on the machine: processes and cgroups. */
import { existsSync, readdirSync } from 'node:fs';

/** A zombie that our machine's init has not collected yet counts as gone: it holds nothing. */
export function isGone(pid: number): boolean {
  const stat = `/proc/${pid}`;
  if (!existsSync(stat)) return true;
  try {
    return readdirSync(`${stat}/fd`).length === 0 && readdirSync(`${stat}/task`).length <= 1;
  } catch {
    return true;
  }
}

export function leftCgroups(name: string): string[] {
  const root = '/sys/fs/cgroup';
  const folders = [root, ...readdirSync(root).map((folder) => `${root}/${folder}`)];
  return folders.flatMap((folder) => {
    try {
      return readdirSync(folder).filter((entry) => entry.startsWith(name));
    } catch {
      return [];
    }
  });
}
