/** Names what a test needs and this machine lacks, for node:test's `{ skip }`. */
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** `needs('root', 'ip', 'native')`: undefined if all is there (native: the built addon), else one sentence. */
export function needs(...things: string[]): string | undefined {
  const missing = things.filter((thing) => !isThere(thing));
  return missing.length === 0 ? undefined : `needs ${missing.join(', ')}`;
}

function isThere(thing: string): boolean {
  if (thing === 'root') return process.getuid?.() === 0;
  if (thing === 'native') return existsSync(new URL('../../native/hostgw.node', import.meta.url));
  return findProgram(thing) !== undefined;
}

/** The path of a program, or undefined: named by a variable ($ETCD or $HOSTGW_ETCD for etcd), else found in PATH. */
export function findProgram(name: string): string | undefined {
  const variable = name.toUpperCase();
  const named = [process.env[variable], process.env[`HOSTGW_${variable}`]];
  // sbin is not in every user's PATH.
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  const files = [
    ...named.filter((file) => file?.includes('/')),
    ...folders.map((f) => join(f, name)),
  ];
  return files.find((file) => file !== undefined && existsSync(file));
}
