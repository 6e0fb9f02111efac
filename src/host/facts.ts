/**
 * What this machine is, as the kernel tells it: links with their addresses, prefixes that are directly
 * connected, default routes; both families, one moment. Reading is `ip -j`, everything behind it is pure.
 */
import * as v from 'valibot';
import { type RunResult, run, sentenceOf } from '../core/index.ts';
import {
  type Address,
  bitsOf,
  type Family,
  type Prefix,
  parseAddress,
  parsePrefix,
  prefixOf,
} from '../ip/index.ts';

export interface InterfaceAddress {
  readonly address: Address;
  /** Length of the prefix that the address brings. */
  readonly length: number;
  /** Not the first IPv4 address of its prefix; the kernel picks it as a source only when told. */
  readonly secondary: boolean;
  /** Whether it may be told to others: not limited to the host or the link, not on its way in or out. */
  readonly usable: boolean;
  /** It ends unless a router or DHCP server goes on to give it. */
  readonly dynamic?: boolean;
}

export interface Link {
  readonly index: number;
  readonly name: string;
  readonly up: boolean;
  readonly carrier: boolean;
  readonly mtu: number;
  /** `veth`, `bridge`, `bond`...; for hardware the link type: `ether`, `loopback`. */
  readonly kind: string;
  /** In the kernel's order. */
  readonly addresses: readonly InterfaceAddress[];
}

export interface ConnectedPrefix {
  readonly prefix: Prefix;
  /** Interface index. */
  readonly device: number;
}

export interface DefaultRoute {
  readonly family: Family;
  /** Undefined on a point-to-point link. */
  readonly gateway: Address | undefined;
  /** Interface index. */
  readonly device: number;
  readonly metric: number;
}

export interface HostFacts {
  readonly links: readonly Link[];
  readonly connected: readonly ConnectedPrefix[];
  /** The one that the kernel uses first in each family; those of our table, where that is not main, before main's. */
  readonly defaultRoutes: readonly DefaultRoute[];
}

/** What the programs printed: `ip -d address`, and lists of routes whose order is the kernel's. */
export interface IpOutput {
  readonly addresses: string;
  readonly routes: readonly { readonly family: Family; readonly text: string }[];
}

const NextHop = v.object({ dev: v.optional(v.string()), gateway: v.optional(v.string()) });
const Route = v.object({
  dst: v.string(),
  type: v.optional(v.string(), 'unicast'),
  dev: v.optional(v.string()),
  gateway: v.optional(v.string()),
  via: v.optional(v.object({ host: v.string() })),
  metric: v.optional(v.number(), 0),
  nexthops: v.optional(v.array(NextHop), []),
});
const IpAddress = v.object({
  local: v.string(),
  prefixlen: v.number(),
  scope: v.string(),
  secondary: v.optional(v.boolean(), false),
  tentative: v.optional(v.boolean(), false),
  dadfailed: v.optional(v.boolean(), false),
  deprecated: v.optional(v.boolean(), false),
  temporary: v.optional(v.boolean(), false),
  dynamic: v.optional(v.boolean(), false),
});
const IpLink = v.object({
  ifindex: v.number(),
  ifname: v.string(),
  flags: v.array(v.string()),
  mtu: v.number(),
  link_type: v.optional(v.string(), ''),
  linkinfo: v.optional(v.object({ info_kind: v.optional(v.string()) })),
  addr_info: v.optional(v.array(v.unknown()), []),
});

/** RT_TABLE_MAIN. */
const MAIN = 254;

/**
 * Reads the facts of the network namespace we are in: connected prefixes and default routes of `table` before those of
 * table main. (A VRF's are in its own table; a gateway is on-link if either table connects it.) Rejects with one sentence
 * if `ip` is missing or cannot do it.
 */
export async function readHostFacts(
  runProgram: typeof run = run,
  signal?: AbortSignal,
  table = MAIN,
): Promise<HostFacts> {
  const options = signal === undefined ? {} : { signal };
  const ip = async (...args: string[]): Promise<string> => {
    const result = await runProgram('ip', args, options).catch((error: unknown) => {
      throw new Error(`ip of iproute2 cannot be started: ${sentenceOf(error)}`);
    });
    return outputOf(result, args);
  };
  const routesOf = (of: number) => {
    const routes = async (family: Family, ...selector: string[]) => ({
      family,
      text: await ip(`-${family}`, '-j', 'route', 'show', 'table', String(of), ...selector),
    });
    // The selectors keep thousands of our own routes out. IPv6 has no scopes: there all of it comes.
    return Promise.all([routes(4, 'scope', 'link'), routes(4, 'default'), routes(6)]);
  };
  const tables = table === MAIN ? [MAIN] : [table, MAIN];
  const [addresses, ...lists] = await Promise.all([
    ip('-j', '-d', 'address', 'show'),
    ...tables.map(routesOf),
  ]);
  const facts = lists.map((routes) => parseHostFacts({ addresses, routes }));
  return {
    links: facts[0]?.links ?? [],
    connected: facts.flatMap(({ connected }) => connected),
    defaultRoutes: facts.flatMap(({ defaultRoutes }) => defaultRoutes),
  };
}

function outputOf(result: RunResult, args: readonly string[]): string {
  if (result.code === 0) return result.stdout;
  // A namespace whose table was never used has no table yet.
  if (/FIB table does not exist/.test(result.stderr)) return '[]';
  const said = result.stderr.trim().split('\n')[0] ?? '';
  throw new Error(
    `\`ip ${args.join(' ')}\` failed: ${said || `status ${result.code}`} (iproute2 is needed, busybox's ip has no -j)`,
  );
}

/** Entries that are not as expected are left out; text that is no JSON list throws. */
export function parseHostFacts(output: IpOutput): HostFacts {
  const links = entries(IpLink, output.addresses).map(linkOf);
  const indexes = new Map(links.map((link) => [link.name, link.index]));
  const connected: ConnectedPrefix[] = [];
  const defaultRoutes: DefaultRoute[] = [];
  for (const { family, text } of output.routes) {
    for (const route of entries(Route, withoutGateways(text))) {
      const hops = route.nexthops.length > 0 ? route.nexthops : [route];
      const device = indexes.get(hops[0]?.dev ?? '');
      if (route.type !== 'unicast' || device === undefined) continue;
      const gateway = parseAddress(hops[0]?.gateway ?? route.via?.host ?? '');
      if (route.dst === 'default') {
        defaultRoutes.push({ family, gateway, device, metric: route.metric });
      } else if (gateway === undefined) {
        const prefix = prefixOrHost(route.dst);
        if (prefix !== undefined) connected.push({ prefix, device });
      }
    }
  }
  defaultRoutes.sort((a, b) => a.family - b.family || a.metric - b.metric);
  return { links, connected, defaultRoutes };
}

function linkOf(raw: v.InferOutput<typeof IpLink>): Link {
  return {
    index: raw.ifindex,
    name: raw.ifname,
    up: raw.flags.includes('UP'),
    carrier: raw.flags.includes('LOWER_UP'),
    mtu: raw.mtu,
    kind: raw.linkinfo?.info_kind ?? raw.link_type,
    addresses: wellFormed(IpAddress, raw.addr_info).flatMap((entry) => {
      const address = parseAddress(entry.local);
      if (address === undefined) return [];
      const settled = !entry.tentative && !entry.dadfailed && !entry.deprecated && !entry.temporary;
      return {
        address,
        length: entry.prefixlen,
        secondary: entry.secondary,
        usable: entry.scope === 'global' && settled,
        dynamic: entry.dynamic,
      };
    }),
  };
}

function prefixOrHost(text: string): Prefix | undefined {
  const address = parseAddress(text);
  if (address === undefined) return parsePrefix(text);
  return prefixOf(address, bitsOf(address.family));
}

/**
 * Leaves out the text of routes by one gateway to anywhere but default, before it is parsed: with 16,000 peers that is
 * 2 MB, which would keep the thread for a quarter of a second, and none of them is looked at.
 */
const withoutGateways = (text: string): string =>
  text.replace(/\{"dst":"(?!default")[^"]*","gateway":[^{}]*\},?/g, '').replace(/,\s*\]\s*$/, ']');

function entries<const Schema extends AnySchema>(
  schema: Schema,
  text: string,
): v.InferOutput<Schema>[] {
  // iproute2 before 5.0 prints nothing at all for an empty list.
  const list: unknown = text.trim() === '' ? [] : JSON.parse(text);
  return Array.isArray(list) ? wellFormed(schema, list) : [];
}

type AnySchema = v.BaseSchema<unknown, unknown, v.BaseIssue<unknown>>;

function wellFormed<const Schema extends AnySchema>(
  schema: Schema,
  list: readonly unknown[],
): v.InferOutput<Schema>[] {
  return list.flatMap((entry) => {
    const result = v.safeParse(schema, entry);
    return result.success ? [result.output] : [];
  });
}
