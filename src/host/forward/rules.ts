/**
 * What lets peers reach this host's containers and keeps others out, as text: one nft table of ours and a few rules
 * in the iptables chains. Pure: the same wish gives the same text.
 *
 * Our table marks what comes from peers before anything looks at it; Docker's chains accept the mark. An accept in one
 * table never undoes a drop in another, so both are needed. The guard drops what is no peer's and not published.
 */
import { type Address, containsAddress, type Family } from '../../ip/index.ts';
import type { SubnetOfFamily } from '../subnetFile.ts';

/** What this host carries, in one family or both. */
export interface ForwardWanted {
  /** Name of the interface that leads to the peers. */
  readonly uplink: string;
  readonly v4: SubnetOfFamily | undefined;
  readonly v6: SubnetOfFamily | undefined;
  /** Of the believed leases: peer hosts themselves, and peers that masquerade. */
  readonly gateways: readonly Address[];
}

export const NFT_TABLE = 'inet hostgw';
export const DOCKER_USER = 'DOCKER-USER';

const MARK = '0x4847';
// The lower half is ours, the upper half is left to others (Tailscale, Calico and kube-proxy mark by bits).
const MARK_BITS = '0xffff';
const OTHER_BITS = '0xffff0000';
const COMMENT = '-m comment --comment hostgw';

/** Why `wanted` cannot be made into rules; undefined if it can. */
export function refusal({ uplink }: ForwardWanted): string | undefined {
  // Quotes would end a name in nft's language; a last `*` (nft) or `+` (iptables) would make it a pattern.
  if (/^[\w.@-]{1,15}$/.test(uplink)) return undefined;
  return `The interface name ${JSON.stringify(uplink)} cannot be used in firewall rules.`;
}

/** What is carried in `family`. */
export const carriedIn = (wanted: ForwardWanted, family: Family): SubnetOfFamily | undefined =>
  family === 4 ? wanted.v4 : wanted.v6;

/** nft's words of a family. */
const WORDS = {
  4: { ip: 'ip', type: 'ipv4_addr', set: 'peers' },
  6: { ip: 'ip6', type: 'ipv6_addr', set: 'peers6' },
} as const;

/**
 * Replaces the whole table in one transaction (add, delete, add: the first makes the delete succeed when there is none).
 * Chains, by priority, each with a rule for every family:
 * - from_peers, -350: before raw (-300), where Docker 28 and newer drop what comes straight from another host.
 * - guard, before filter: whatever policy Docker left in FORWARD, others get only replies and what is published (dnat).
 * - keep, 90: source NAT to the source itself settles the flow, so Docker's MASQUERADE at 100 never sees it
 *   (a plain accept would not do). Containers of one network see each other's own addresses.
 * - unmark, before source NAT: kube-proxy masquerades at 100 what has the mark 0x4000, which is a bit of ours.
 */
export function nftScript(wanted: ForwardWanted): string {
  const { uplink, gateways } = wanted;
  const carried = ([4, 6] as const).flatMap((family) => {
    const of = carriedIn(wanted, family);
    return of === undefined ? [] : [{ ...of, ...WORDS[family] }];
  });
  type Carried = (typeof carried)[number];
  const each = (rule: (of: Carried) => string): string =>
    carried.map((of) => `\t\t${rule(of)}\n`).join('');
  const sets = carried.map(
    ({ set, type, network }) => `	set ${set} {
		type ${type}
		flags interval
		elements = { ${[network.text, ...outside(network, gateways)].join(', ')} }
	}
`,
  );
  return `add table ${NFT_TABLE}
delete table ${NFT_TABLE}
table ${NFT_TABLE} {
${sets.join('')}	chain from_peers {
		type filter hook prerouting priority -350; policy accept;
${each(({ ip, set, subnet }) => `iifname "${uplink}" ${ip} daddr ${subnet.text} ${ip} saddr @${set} meta mark set meta mark and ${OTHER_BITS} or ${MARK}`)}	}
	chain guard {
		type filter hook forward priority -10; policy accept;
${each(({ ip, subnet }) => `iifname "${uplink}" ${ip} daddr ${subnet.text} meta mark and ${MARK_BITS} != ${MARK} ct state != { established, related } ct status and dnat == 0 drop`)}	}
	chain keep {
		type nat hook postrouting priority 90; policy accept;
${each(({ ip, network }) => `${ip} saddr ${network.text} ${ip} daddr ${network.text} snat ${ip} to ${ip} saddr`)}	}
	chain unmark {
		type filter hook postrouting priority -160; policy accept;
		meta mark and ${MARK_BITS} == ${MARK} meta mark set meta mark and ${OTHER_BITS}
	}
}
`;
}

/** Once each and in order; those inside Network are in the set already, and an interval set refuses overlaps. */
function outside(network: SubnetOfFamily['network'], gateways: readonly Address[]): string[] {
  const { family } = network.address;
  const others = gateways.filter(
    (gateway) => gateway.family === family && !containsAddress(network, gateway),
  );
  others.sort((a, b) => (a.value < b.value ? -1 : a.value > b.value ? 1 : 0));
  return [...new Set(others.map(({ text }) => text))];
}

export const removeNftScript = `add table ${NFT_TABLE}\ndelete table ${NFT_TABLE}\n`;

export interface IptablesRule {
  readonly table: 'raw' | 'filter';
  readonly chain: string;
  /** Before or behind what others put there. */
  readonly place: 'first' | 'last';
  /** As `iptables -S` prints it behind `-A CHAIN`. */
  readonly spec: string;
}

/** The chains that hold rules of ours; DOCKER-USER first, because FORWARD jumps there. */
export const IPTABLES_CHAINS = [
  { table: 'raw', chain: 'PREROUTING' },
  { table: 'filter', chain: DOCKER_USER },
  { table: 'filter', chain: 'FORWARD' },
] as const;

/**
 * The rules for every backend of iptables (family 4) or ip6tables (6) in use; none where nothing is carried. `marking`:
 * our nft table is there to set the mark; where it is not, sources in Network are accepted by address.
 */
export function iptablesRules(
  wanted: ForwardWanted,
  family: Family,
  marking: boolean,
): IptablesRule[] {
  const carried = carriedIn(wanted, family);
  if (carried === undefined) return [];
  const { uplink } = wanted;
  const { network, subnet } = carried;
  const byMark = `-m mark --mark ${MARK}/${MARK_BITS} ${COMMENT} -j ACCEPT`;
  const byAddress = `-s ${network.text} -d ${subnet.text} -i ${uplink} ${COMMENT} -j ACCEPT`;
  const accepts = marking ? [byMark] : [byMark, byAddress];
  return [
    ...accepts.map((spec) => ({ ...IPTABLES_CHAINS[0], place: 'first' as const, spec })),
    ...accepts.map((spec) => ({ ...IPTABLES_CHAINS[1], place: 'first' as const, spec })),
    // Docker's own jump, word for word and so without our comment: Docker adopts it when it starts, and without
    // Docker the accepts hold against whoever set the policy of FORWARD to DROP.
    { ...IPTABLES_CHAINS[2], place: 'first', spec: `-j ${DOCKER_USER}` },
    // The way out, against a DROP policy only: behind everybody's rules, where flannel has its own.
    {
      ...IPTABLES_CHAINS[2],
      place: 'last',
      spec: `-s ${subnet.text} -d ${network.text} -o ${uplink} ${COMMENT} -j ACCEPT`,
    },
  ];
}

/** What is to be done in one chain: rules to add, and specs of ours to delete, one at a time. */
export interface ChainChange {
  readonly missing: readonly IptablesRule[];
  readonly stale: readonly string[];
}

/** Compares `wanted` rules of one chain with what `iptables -S CHAIN` printed. */
export function compareChain(listing: string, wanted: readonly IptablesRule[]): ChainChange {
  const present = listing
    .split('\n')
    .flatMap((line) => /^-A \S+ (.*?)\s*$/.exec(line)?.[1]?.replaceAll('"hostgw"', 'hostgw') ?? []);
  const missing = wanted.filter(({ spec }) => !present.includes(spec));
  const stale = present.filter((spec, index) => {
    if (!isOurs(spec)) return false;
    const twice = present.indexOf(spec) !== index;
    return twice || !wanted.some((rule) => rule.spec === spec);
  });
  return { missing, stale };
}

const isOurs = (spec: string): boolean =>
  `${spec} `.includes(` ${COMMENT} `) || spec.startsWith(`${COMMENT} `);
