/** Which machine this is, by machine-id(5). */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';

/** What tells this host from all others, whatever its address: machine-id where there is one, which survives a new name. */
export async function machineIdentity(): Promise<string> {
  return (await machineId()) || hostname();
}

/**
 * A mark of this machine for files that must not be believed on another; undefined where there is no machine-id, and a
 * name may change. The id itself is for nobody to read (machine-id(5)), so this is a hash of it.
 */
export async function machineMark(): Promise<string | undefined> {
  const id = await machineId();
  return id === ''
    ? undefined
    : createHash('sha256').update(`hostgw ${id}`).digest('hex').slice(0, 16);
}

async function machineId(): Promise<string> {
  return (await readFile('/etc/machine-id', 'utf8').catch(() => '')).trim();
}
