/**
 * IPv4 forwarding, on for the host and on the uplink: without it a host with every route still passes nothing.
 * Written only where it is off, and each change is said.
 */

import { readFile, writeFile } from 'node:fs/promises';
import { sentenceOf } from '../core/index.ts';

/** `changes`: a sentence for each switch that was turned. `failed`: what to run by hand. */
export type ForwardingOutcome =
  | { readonly kind: 'on'; readonly changes: readonly string[] }
  | { readonly kind: 'failed'; readonly reason: string };

/** `root` stands for /proc/sys/net/ipv4 (a parameter for tests). */
export async function ensureForwarding(
  uplink: string,
  root = '/proc/sys/net/ipv4',
): Promise<ForwardingOutcome> {
  const changes: string[] = [];
  // In this order: turning ip_forward sets every interface's switch; and it reads 1 while the uplink's own is 0.
  for (const file of ['ip_forward', `conf/${uplink}/forwarding`]) {
    const path = `${root}/${file}`;
    const key = `net/ipv4/${file}`;
    try {
      if ((await readFile(path, 'utf8')).trim() !== '0') continue;
      await writeFile(path, '1\n');
      if ((await readFile(path, 'utf8')).trim() === '0') throw new Error('it stays 0');
    } catch (error) {
      const why = sentenceOf(error);
      // With slashes: sysctl takes them, and a dot may be part of an interface's name (eth0.100).
      return {
        kind: 'failed',
        reason: `Forwarding cannot be turned on (${why}), so no packet passes this host: run \`sysctl -w ${key}=1\`.`,
      };
    }
    changes.push(`Turned ${key} on: it was off.`);
  }
  return { kind: 'on', changes };
}
