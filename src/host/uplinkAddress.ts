/**
 * Which addresses of an interface may be told to peers, and which of them is: flannel's preference, never a temporary
 * IPv6 address or a link-local one.
 */
import { type Address, containsAddress, type Family, isUnicast, type Prefix } from '../ip/index.ts';
import type { HostFacts, InterfaceAddress, Link } from './facts.ts';

/** What to publish in one family, and why where there was a choice; `missing` where there is nothing to. */
export type Published =
  | { readonly kind: 'address'; readonly address: Address; readonly how: string }
  | { readonly kind: 'missing' }
  | { readonly kind: 'wrong'; readonly reason: string };

export interface Publishing {
  readonly link: Link;
  /** The prefixes connected through it. */
  readonly prefixes: readonly Prefix[];
  /** What the user asked for with --public-ip or --public-ipv6. */
  readonly asked: Address | undefined;
  /** What led to the interface: it is then the one to publish. */
  readonly found: Address | undefined;
  /** In use already: it stays, whatever comes beside it. */
  readonly keep: Address | undefined;
}

/**
 * The address to publish. Peers use it as a gateway, so it must be one of this host's that they
 * can resolve on the link: of the uplink itself, or elsewhere on this host (a VIP on lo) but within an uplink's prefix.
 */
export function publishedAddress(facts: HostFacts, family: Family, given: Publishing): Published {
  const { link, prefixes, asked, found, keep } = given;
  const flag = family === 4 ? '--public-ip' : '--public-ipv6';
  const all = candidates(link, family);
  if (asked !== undefined) {
    const local = facts.links.some((one) => has(one, asked));
    const onLink = prefixes.some((prefix) => containsAddress(prefix, asked));
    const lasting = family === 4 || !isLinkLocal(asked);
    if (lasting && (has(link, asked) || (local && onLink)))
      return { kind: 'address', address: asked, how: `, address by ${flag}` };
    const reason =
      `${flag}=${asked.text} is no address that peers reach through ${link.name} (it has ${texts(all)}): ` +
      'peers use it as a gateway, so host-gw cannot work behind NAT; name the interface with --iface if it is another one.';
    return { kind: 'wrong', reason };
  }
  const kept = all.find(({ text }) => text === keep?.text);
  const address = found ?? kept ?? all[0];
  if (address === undefined) return { kind: 'missing' };
  const others = all.filter(({ text }) => text !== address.text);
  if (found !== undefined || others.length === 0) return { kind: 'address', address, how: '' };
  const of = family === 4 ? 'addresses' : 'IPv6 addresses';
  const how = `; the first of its ${of}, choose another (${texts(others)}) with ${flag}`;
  return { kind: 'address', address, how };
}

/**
 * What may be published, the first choice first. IPv4: global addresses in the kernel's order, link-local ones only where
 * there is no other. IPv6: global ones only, what the administrator gave before what a router announced, then by value:
 * the kernel lists the latest first, so that its order changes with every address that comes.
 */
export function candidates(link: Link, family: Family): Address[] {
  const unicast = link.addresses.filter(
    ({ address }) => address.family === family && isUnicast(address),
  );
  const global = unicast.filter(({ address, usable }) => usable && !isLinkLocal(address));
  if (family === 6) return global.sort(byLasting).map(({ address }) => address);
  return (global.length > 0 ? global : unicast).map(({ address }) => address);
}

function byLasting(a: InterfaceAddress, b: InterfaceAddress): number {
  const later = Number(a.dynamic ?? false) - Number(b.dynamic ?? false);
  return later || (a.address.value < b.address.value ? -1 : 1);
}

export const isLinkLocal = (address: Address): boolean =>
  address.family === 4 ? address.value >>> 16 === 0xa9fe : address.value >> 118n === 0x3fan;

export const has = (link: Link, wanted: Address): boolean =>
  link.addresses.some(({ address }) => address.text === wanted.text);

export const texts = (addresses: readonly Address[]): string =>
  addresses.map(({ text }) => text).join(', ') || 'no address';

/** The interfaces that there are, with what each could publish. */
export function listed(facts: HostFacts): string {
  const links = facts.links.filter(({ kind }) => kind !== 'loopback');
  const each = links.map(
    (link) => `${link.name} (${texts([...candidates(link, 4), ...candidates(link, 6)])})`,
  );
  return each.join(', ') || 'no interfaces but loopback';
}
