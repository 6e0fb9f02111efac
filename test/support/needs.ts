/** Names what a test needs and this machine lacks, for node:test's `{ skip }`. */
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** `needs('root', 'ip', 'nft')`: undefined if all is there, else one sentence. */
export function needs(...things: string[]): string | undefined {
  const missing = things.filter((thing) => !isThere(thing));
  return missing.length === 0 ? undefined : `needs ${missing.join(', ')}`;
}

function isThere(thing: string): boolean {
  if (thing === 'root') return process.getuid?.() === 0;
  // sbin is not in every user's PATH.
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  return folders.some((folder) => existsSync(join(folder, thing)));
}
