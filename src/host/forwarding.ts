/**
 * Forwarding, on for the host and on the uplink: without it a host with every route still passes nothing.
 * Written only where it is off, and each change is said; what a router has announced to this host is kept.
 */

import { readFile, writeFile } from 'node:fs/promises';
import { sentenceOf } from '../core/index.ts';
import type { Family } from '../ip/index.ts';

/** `changes`: a sentence for each switch that was turned. `failed`: what to run by hand. */
export type ForwardingOutcome =
  | { readonly kind: 'on'; readonly changes: readonly string[] }
  | { readonly kind: 'failed'; readonly reason: string };

/** Where to read and write; a parameter for tests. */
export interface ForwardingPlaces {
  readonly sysctl: string;
  readonly routes6: string;
}

const PLACES: ForwardingPlaces = { sysctl: '/proc/sys', routes6: '/proc/net/ipv6_route' };

/** The switches that could not be turned, with why. */
class Stuck extends Error {}

export async function ensureForwarding(
  uplink: string,
  families: readonly Family[],
  places = PLACES,
): Promise<ForwardingOutcome> {
  const changes: string[] = [];
  try {
    if (families.includes(4)) await forward4(uplink, places, changes);
    if (families.includes(6)) await forward6(places, changes);
  } catch (error) {
    if (error instanceof Stuck) return { kind: 'failed', reason: error.message };
    throw error;
  }
  return { kind: 'on', changes };
}

async function forward4(
  uplink: string,
  places: ForwardingPlaces,
  changes: string[],
): Promise<void> {
  // In this order: turning ip_forward sets every interface's switch; and it reads 1 while the uplink's own is 0.
  for (const file of ['ip_forward', `conf/${uplink}/forwarding`]) {
    const key = `net/ipv4/${file}`;
    if ((await read(places, key)) !== '0') continue;
    await write(places, key, '1');
    changes.push(`Turned ${key} on: it was off.`);
  }
}

/**
 * IPv6 has the one switch: an interface's own says only whether it behaves as a host or as a router. Turning it makes
 * the kernel drop the default routes that routers announced, and hear no more of them, so that addresses they gave run
 * out: unless the interface has accept_ra 2. So those that live by a router get that first; no others, because a
 * container must not be able to announce itself as the router of its host.
 */
async function forward6(places: ForwardingPlaces, changes: string[]): Promise<void> {
  const all = 'net/ipv6/conf/all/forwarding';
  if ((await read(places, all)) !== '0') return;
  for (const name of await announcedTo(places)) {
    const key = `net/ipv6/conf/${name}/accept_ra`;
    if ((await read(places, key)) !== '1') continue;
    await write(places, key, '2');
    changes.push(
      `Set ${key} to 2: with forwarding on the kernel would drop what a router has announced on ${name}, its default route too.`,
    );
  }
  await write(places, all, '1');
  changes.push(`Turned ${all} on: it was off.`);
}

const RTF_ADDRCONF = 0x0004_0000;

/** The interfaces with a route from a router advertisement: its default route, or a prefix for addresses. */
async function announcedTo({ routes6 }: ForwardingPlaces): Promise<string[]> {
  const text = await readFile(routes6, 'utf8').catch((error: unknown) => {
    throw new Stuck(stuck(sentenceOf(error), 'net/ipv6/conf/all/forwarding', '1'));
  });
  const names = new Set<string>();
  for (const line of text.split('\n')) {
    const fields = line.trim().split(/\s+/);
    const [flags, name] = [fields.at(-2), fields.at(-1)];
    if (flags !== undefined && name !== undefined && Number.parseInt(flags, 16) & RTF_ADDRCONF)
      names.add(name);
  }
  return [...names];
}

async function read({ sysctl }: ForwardingPlaces, key: string): Promise<string> {
  const text = await readFile(`${sysctl}/${key}`, 'utf8').catch((error: unknown) => {
    throw new Stuck(stuck(sentenceOf(error), key, '1'));
  });
  return text.trim();
}

async function write(places: ForwardingPlaces, key: string, value: string): Promise<void> {
  try {
    await writeFile(`${places.sysctl}/${key}`, `${value}\n`);
  } catch (error) {
    throw new Stuck(stuck(sentenceOf(error), key, value));
  }
  if ((await read(places, key)) !== value) throw new Stuck(stuck('it stays as it was', key, value));
}

// With slashes: sysctl takes them, and a dot may be part of an interface's name (eth0.100).
const stuck = (why: string, key: string, value: string): string =>
  `Forwarding cannot be turned on (${why}), so no packet passes this host: run \`sysctl -w ${key}=${value}\`.`;
