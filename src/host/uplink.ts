/**
 * Which interface leads to the peers, and which of its addresses they are to route to: flannel's rules
 * (--iface, --iface-regex, --iface-can-reach, else the default route; --public-ip), each choice said in a sentence.
 */
import { run } from '../core/index.ts';
import {
  type Address,
  containsAddress,
  type Family,
  isUnicast,
  type Prefix,
  parseAddress,
} from '../ip/index.ts';
import type { HostFacts, Link } from './facts.ts';

export interface UplinkOptions {
  /** Names or addresses, tried in order. */
  readonly iface: readonly string[];
  /** Regular expressions on addresses and names, tried in order after `iface`. */
  readonly ifaceRegex: readonly string[];
  readonly ifaceCanReach: Address | undefined;
  readonly publicIp: Address | undefined;
  readonly publicIpv6: Address | undefined;
}

export type UplinkChoice =
  | {
      readonly kind: 'uplink';
      /** Interface index. */
      readonly device: number;
      readonly name: string;
      /** What peers route to. */
      readonly address: Address;
      /** The same in IPv6, where the interface has a global address. */
      readonly address6: Address | undefined;
      /** The prefixes connected through it. */
      readonly prefixes: readonly Prefix[];
      readonly mtu: number;
      /** Why this one, as part of a sentence. */
      readonly how: string;
    }
  | {
      readonly kind: 'none';
      readonly reason: string;
      /** Whether time may help (a network that comes up), or only another command line. */
      readonly canWait: boolean;
    };

/** What `ip route get` says of an address. */
export interface Reach {
  readonly device: string;
  readonly source: Address | undefined;
}

interface Found {
  readonly link: Link;
  /** The address that led to the interface; it is then the one to publish. */
  readonly address?: Address | undefined;
  readonly how: string;
}
type None = Extract<UplinkChoice, { kind: 'none' }>;

const none = (reason: string, canWait = true): None => ({ kind: 'none', reason, canWait });

/** Asks the kernel for the way to --iface-can-reach where that decides, then chooses. */
export async function findUplink(
  facts: HostFacts,
  options: UplinkOptions,
  runProgram: typeof run = run,
): Promise<UplinkChoice> {
  const target = options.ifaceCanReach;
  if (target === undefined || options.iface.length + options.ifaceRegex.length > 0) {
    return chooseUplink(facts, options);
  }
  const result = await runProgram('ip', ['-j', 'route', 'get', target.text]);
  return chooseUplink(facts, options, result.code === 0 ? parseReach(result.stdout) : undefined);
}

/** Reads the output of `ip -j route get`; undefined if it names no device. */
export function parseReach(text: string): Reach | undefined {
  const device = /"dev":"([^"]+)"/.exec(text)?.[1];
  const source = /"prefsrc":"([^"]+)"/.exec(text)?.[1] ?? '';
  return device === undefined ? undefined : { device, source: parseAddress(source) };
}

/** `reach` is the kernel's way to --iface-can-reach, undefined if there is none. */
export function chooseUplink(
  facts: HostFacts,
  options: UplinkOptions,
  reach?: Reach,
): UplinkChoice {
  const found = findInterface(facts, options, reach);
  if ('kind' in found) return found;
  const { link } = found;
  const prefixes = facts.connected
    .filter(({ device }) => device === link.index)
    .map(({ prefix }) => prefix);
  const published = publishedAddress(facts, found, prefixes, options.publicIp);
  if ('kind' in published) return published;
  const address6 = options.publicIpv6 ?? candidates(link, 6)[0];
  return {
    kind: 'uplink',
    device: link.index,
    name: link.name,
    address: published.address,
    address6,
    prefixes,
    mtu: link.mtu,
    how: `${found.how}${published.how}`,
  };
}

/** The same interface as before, by name or, where it was renamed, by index, as it is now; another one never. */
export function stayWithUplink(
  facts: HostFacts,
  current: { readonly name: string; readonly device: number },
  options: UplinkOptions,
): UplinkChoice {
  const link =
    facts.links.find(({ name }) => name === current.name) ??
    facts.links.find(({ index }) => index === current.device);
  if (link === undefined) return none(`${current.name} is not there; there are ${listed(facts)}.`);
  // Its addresses stay on it, but nothing is on-link through it: no time to judge peers by what is connected.
  if (!link.up) return none(`${link.name} is down.`);
  const only = { ...options, iface: [link.name], ifaceRegex: [], ifaceCanReach: undefined };
  const choice = chooseUplink(facts, only);
  return choice.kind === 'uplink' ? { ...choice, how: 'as before' } : choice;
}

function findInterface(
  facts: HostFacts,
  options: UplinkOptions,
  reach: Reach | undefined,
): Found | None {
  for (const wanted of options.iface) {
    const found = byNameOrAddress(facts, wanted);
    if (found !== undefined) return found;
  }
  for (const source of options.ifaceRegex) {
    const regex = compile(source);
    if (regex === undefined) {
      return none(`--iface-regex ${JSON.stringify(source)} is no regular expression.`, false);
    }
    const found = byRegex(facts, regex);
    if (found !== undefined) return found;
  }
  const asked = [
    ...options.iface.map((text) => `--iface=${text}`),
    ...options.ifaceRegex.map((text) => `--iface-regex=${text}`),
  ];
  if (asked.length > 0) {
    return none(`No interface matches ${asked.join(' or ')}; there are ${listed(facts)}.`);
  }
  return options.ifaceCanReach === undefined
    ? byDefaultRoute(facts)
    : byReach(facts, options.ifaceCanReach, reach);
}

function byNameOrAddress(facts: HostFacts, wanted: string): Found | undefined {
  const address = parseAddress(wanted);
  if (address === undefined) {
    const link = facts.links.find(({ name }) => name === wanted);
    return link && { link, how: `--iface=${wanted}` };
  }
  const link = facts.links.find((one) => has(one, address));
  // An IPv6 address names the interface only: peers route IPv4 to an IPv4 address.
  return link && { link, address: v4Only(address), how: `it has --iface=${address.text}` };
}

/** As flannel: an address that matches wins over a name that does. */
function byRegex(facts: HostFacts, regex: RegExp): Found | undefined {
  for (const link of facts.links) {
    const address = candidates(link, 4).find(({ text }) => regex.test(text));
    if (address) return { link, address, how: `its address matches --iface-regex=${regex.source}` };
  }
  const link = facts.links.find(({ name }) => regex.test(name));
  return link && { link, how: `its name matches --iface-regex=${regex.source}` };
}

function byReach(facts: HostFacts, target: Address, reach: Reach | undefined): Found | None {
  const link = facts.links.find(({ name }) => name === reach?.device);
  if (link === undefined) {
    return none(
      `There is no route to --iface-can-reach=${target.text}; there are ${listed(facts)}.`,
    );
  }
  if (link.kind === 'loopback') {
    return none(
      `--iface-can-reach=${target.text} is this host's own address: name one of another host.`,
      false,
    );
  }
  const source = reach?.source === undefined ? undefined : v4Only(reach.source);
  return { link, address: source, how: `the way to --iface-can-reach=${target.text}` };
}

function byDefaultRoute(facts: HostFacts): Found | None {
  const usable = facts.defaultRoutes.filter(({ family }) => family === 4);
  const route = usable[0] ?? facts.defaultRoutes[0];
  const link = facts.links.find(({ index }) => index === route?.device);
  if (link === undefined) {
    return none(
      `There is no default route to tell the uplink by: name it with --iface; there are ${listed(facts)}.`,
    );
  }
  return { link, how: 'it has the default route' };
}

/**
 * The address to publish. Peers use it as a gateway, so it must be one of this host's that they
 * can resolve on the link: of the uplink itself, or elsewhere on this host (a VIP on lo) but within an uplink's prefix.
 */
function publishedAddress(
  facts: HostFacts,
  found: Found,
  prefixes: readonly Prefix[],
  publicIp: Address | undefined,
): { readonly address: Address; readonly how: string } | None {
  const { link } = found;
  if (publicIp !== undefined) {
    const local = facts.links.some((one) => has(one, publicIp));
    const onLink = prefixes.some((prefix) => containsAddress(prefix, publicIp));
    if (has(link, publicIp) || (local && onLink)) {
      return { address: publicIp, how: ', address by --public-ip' };
    }
    return none(
      `--public-ip=${publicIp.text} is no address that peers reach through ${link.name} (it has ${texts(candidates(link, 4))}): ` +
        'peers use it as a gateway, so host-gw cannot work behind NAT; name the interface with --iface if it is another one.',
    );
  }
  const all = candidates(link, 4);
  const address = found.address ?? all[0];
  if (address === undefined) {
    return none(`${link.name} has no IPv4 address yet (${found.how}); there are ${listed(facts)}.`);
  }
  const others = all.filter(({ text }) => text !== address.text);
  if (found.address !== undefined || others.length === 0) return { address, how: '' };
  return {
    address,
    how: `; the first of its addresses, choose another (${texts(others)}) with --public-ip`,
  };
}

/** As flannel: global addresses in the kernel's order, link-local ones only where there is no other. */
function candidates(link: Link, family: Family): Address[] {
  const unicast = link.addresses
    .filter(({ address }) => address.family === family && isUnicast(address))
    .map(({ address, usable }) => ({ address, usable: usable && !isLinkLocal(address) }));
  const global = unicast.filter(({ usable }) => usable);
  const chosen = global.length > 0 || family === 6 ? global : unicast;
  return chosen.map(({ address }) => address);
}

const isLinkLocal = (address: Address): boolean =>
  address.family === 4 ? address.value >>> 16 === 0xa9fe : address.value >> 118n === 0x3fan;

const v4Only = (address: Address): Address | undefined =>
  address.family === 4 ? address : undefined;

const has = (link: Link, wanted: Address): boolean =>
  link.addresses.some(({ address }) => address.text === wanted.text);

function compile(source: string): RegExp | undefined {
  try {
    return new RegExp(source);
  } catch {
    return undefined;
  }
}

const texts = (addresses: readonly Address[]): string =>
  addresses.map(({ text }) => text).join(', ') || 'no address';

function listed(facts: HostFacts): string {
  const links = facts.links.filter(({ kind }) => kind !== 'loopback');
  const each = links.map((link) => `${link.name} (${texts(candidates(link, 4))})`);
  return each.join(', ') || 'no interfaces but loopback';
}
