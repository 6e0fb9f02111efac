/**
 * Which interface leads to the peers, and which of its addresses they are to route to: flannel's rules
 * (--iface, --iface-regex, --iface-can-reach, else the default route; --public-ip), each choice said in a sentence.
 */
import { run } from '../core/index.ts';
import { type Address, type Family, type Prefix, parseAddress } from '../ip/index.ts';
import type { HostFacts, Link } from './facts.ts';
import {
  candidates,
  has,
  isLinkLocal,
  listed,
  type Published,
  publishedAddress,
} from './uplinkAddress.ts';

export interface UplinkOptions {
  /** Names or addresses, tried in order. */
  readonly iface: readonly string[];
  /** Regular expressions on addresses and names, tried in order after `iface`. */
  readonly ifaceRegex: readonly string[];
  readonly ifaceCanReach: Address | undefined;
  readonly publicIp: Address | undefined;
  readonly publicIpv6: Address | undefined;
  /** Those of the network config, which need an address each, IPv4 first; undefined: not known yet, any address will do. */
  readonly families?: readonly Family[] | undefined;
  /** The IPv6 address that is in use: it stays while it is there. */
  readonly keep?: Address | undefined;
}

export type UplinkChoice =
  | {
      readonly kind: 'uplink';
      /** Interface index. */
      readonly device: number;
      readonly name: string;
      /** What peers route to. At least one of the two is there, and each whose family was asked for. */
      readonly address: Address | undefined;
      readonly address6: Address | undefined;
      /** The prefixes connected through it. */
      readonly prefixes: readonly Prefix[];
      readonly mtu: number;
      /** Why this one, as part of a sentence. */
      readonly how: string;
      /** Why this IPv6 address, as a further part; empty where there was no choice. */
      readonly how6: string;
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
  /** The addresses that led to the interface, at most one in each family; they are then the ones to publish. */
  readonly addresses?: readonly Address[];
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
  return 'kind' in found ? found : withAddresses(facts, options, found);
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
  const choice = withAddresses(facts, options, { link, how: 'as before' });
  return choice.kind === 'uplink' ? { ...choice, how: 'as before' } : choice;
}

function withAddresses(facts: HostFacts, options: UplinkOptions, found: Found): UplinkChoice {
  const { link } = found;
  const { families } = options;
  const prefixes = facts.connected
    .filter(({ device }) => device === link.index)
    .map(({ prefix }) => prefix);
  const published = (family: Family): Published => {
    if (families?.includes(family) === false) return { kind: 'missing' };
    const asked = family === 4 ? options.publicIp : options.publicIpv6;
    const keep = family === 4 ? undefined : options.keep;
    const led = found.addresses?.find((address) => address.family === family);
    return publishedAddress(facts, family, { link, prefixes, asked, found: led, keep });
  };
  const [four, six] = [published(4), published(6)];
  if (four.kind === 'wrong') return none(four.reason);
  if (six.kind === 'wrong') return none(six.reason);
  const lacks = (family: Family): boolean =>
    families?.includes(family) === true && (family === 4 ? four : six).kind === 'missing';
  if (lacks(4)) return none(`${missing(link, 'IPv4', found)}; there are ${listed(facts)}.`);
  if (lacks(6)) return none(`${missing(link, 'global IPv6', found)}${elsewhere(facts, link)}`);
  if (four.kind === 'missing' && six.kind === 'missing')
    return none(`${missing(link, 'IPv4 or global IPv6', found)}; there are ${listed(facts)}.`);
  return {
    kind: 'uplink',
    device: link.index,
    name: link.name,
    address: four.kind === 'address' ? four.address : undefined,
    address6: six.kind === 'address' ? six.address : undefined,
    prefixes,
    mtu: link.mtu,
    how: `${found.how}${four.kind === 'address' ? four.how : ''}`,
    how6: six.kind === 'address' ? six.how : '',
  };
}

const missing = (link: Link, what: string, { how }: Found): string =>
  `${link.name} has no ${what} address yet (${how})`;

/** One interface carries both families: where IPv6's default route is on another one, somebody has to choose. */
function elsewhere(facts: HostFacts, link: Link): string {
  const route = facts.defaultRoutes.find(({ family }) => family === 6);
  const other = facts.links.find(({ index }) => index === route?.device);
  if (other === undefined || other.index === link.index) return `; there are ${listed(facts)}.`;
  return `, but the default route of IPv6 is through ${other.name}: name the interface that has both with --iface; there are ${listed(facts)}.`;
}

function findInterface(
  facts: HostFacts,
  options: UplinkOptions,
  reach: Reach | undefined,
): Found | None {
  const families = options.families ?? [4, 6];
  for (const wanted of options.iface) {
    const found = byNameOrAddress(facts, wanted);
    if (found !== undefined) return found;
  }
  for (const source of options.ifaceRegex) {
    const regex = compile(source);
    if (regex === undefined) {
      return none(`--iface-regex ${JSON.stringify(source)} is no regular expression.`, false);
    }
    const found = byRegex(facts, regex, families);
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
    ? byDefaultRoute(facts, families)
    : byReach(facts, options.ifaceCanReach, reach);
}

function byNameOrAddress(facts: HostFacts, wanted: string): Found | undefined {
  const address = parseAddress(wanted);
  if (address === undefined) {
    const link = facts.links.find(({ name }) => name === wanted);
    return link && { link, how: `--iface=${wanted}` };
  }
  const link = facts.links.find((one) => has(one, address));
  return link && { link, addresses: lasting(address), how: `it has --iface=${address.text}` };
}

/** As flannel: an address that matches wins over a name that does. */
function byRegex(facts: HostFacts, regex: RegExp, families: readonly Family[]): Found | undefined {
  for (const family of families) {
    for (const link of facts.links) {
      const matching = (of: Family): Address[] =>
        candidates(link, of)
          .filter(({ text }) => regex.test(text))
          .slice(0, 1);
      if (matching(family).length > 0) {
        const how = `its address matches --iface-regex=${regex.source}`;
        return { link, addresses: families.flatMap(matching), how };
      }
    }
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
  const addresses = reach?.source === undefined ? [] : lasting(reach.source);
  return { link, addresses, how: `the way to --iface-can-reach=${target.text}` };
}

/** IPv4's where the network has IPv4, else IPv6's; the other one where that is all there is. */
function byDefaultRoute(facts: HostFacts, [first = 4]: readonly Family[]): Found | None {
  const route =
    facts.defaultRoutes.find(({ family }) => family === first) ?? facts.defaultRoutes[0];
  const link = facts.links.find(({ index }) => index === route?.device);
  if (link === undefined) {
    return none(
      `There is no default route to tell the uplink by: name it with --iface; there are ${listed(facts)}.`,
    );
  }
  return { link, how: 'it has the default route' };
}

/** A link-local IPv6 address names the interface, but is nothing to publish. */
const lasting = (address: Address): Address[] =>
  address.family === 6 && isLinkLocal(address) ? [] : [address];

function compile(source: string): RegExp | undefined {
  try {
    return new RegExp(source);
  } catch {
    return undefined;
  }
}
