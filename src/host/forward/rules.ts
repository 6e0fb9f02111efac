/**
 * What lets peers reach this host's containers and keeps others out, as text: one nft table of ours and a few rules
 * in the iptables chains. Pure: the same wish gives the same text.
 *
 * Our table marks what comes from peers before anything looks at it; Docker's chains accept the mark. An accept in one
 * table never undoes a drop in another, so both are needed. The guard drops what is no peer's and not published.
 */
import { type Address, containsAddress, type Prefix } from '../../ip/index.ts';

export interface ForwardWanted {
  /** Name of the interface that leads to the peers. */
  readonly uplink: string;
  readonly network: Prefix;
  /** This host's own. */
  readonly subnet: Prefix;
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
export function refusal({ uplink, network, subnet }: ForwardWanted): string | undefined {
  // Quotes would end a name in nft's language; a last `*` (nft) or `+` (iptables) would make it a pattern.
  if (!/^[\w.@-]{1,15}$/.test(uplink)) {
    return `The interface name ${JSON.stringify(uplink)} cannot be used in firewall rules.`;
  }
  if (network.address.family === 4 && subnet.address.family === 4) return undefined;
  return `Forward rules are for IPv4 only, not for ${subnet.text}.`;
}

/**
 * Replaces the whole table in one transaction (add, delete, add: the first makes the delete succeed when there is none).
 * Chains, by priority:
 * - from_peers, -350: before raw (-300), where Docker 28 and newer drop what comes straight from another host.
 * - guard, before filter: whatever policy Docker left in FORWARD, others get only replies and what is published (dnat).
 * - keep, 90: source NAT to the source itself settles the flow, so Docker's MASQUERADE at 100 never sees it
 *   (a plain accept would not do). Containers of one network see each other's own addresses.
 * - unmark, before source NAT: kube-proxy masquerades at 100 what has the mark 0x4000, which is a bit of ours.
 */
export function nftScript({ uplink, network, subnet, gateways }: ForwardWanted): string {
  const peers = [network.text, ...outside(network, gateways)];
  return `add table ${NFT_TABLE}
delete table ${NFT_TABLE}
table ${NFT_TABLE} {
	set peers {
		type ipv4_addr
		flags interval
		elements = { ${peers.join(', ')} }
	}
	chain from_peers {
		type filter hook prerouting priority -350; policy accept;
		iifname "${uplink}" ip daddr ${subnet.text} ip saddr @peers meta mark set meta mark and ${OTHER_BITS} or ${MARK}
	}
	chain guard {
		type filter hook forward priority -10; policy accept;
		iifname "${uplink}" ip daddr ${subnet.text} meta mark and ${MARK_BITS} != ${MARK} ct state != { established, related } ct status and dnat == 0 drop
	}
	chain keep {
		type nat hook postrouting priority 90; policy accept;
		ip saddr ${network.text} ip daddr ${network.text} snat ip to ip saddr
	}
	chain unmark {
		type filter hook postrouting priority -160; policy accept;
		meta mark and ${MARK_BITS} == ${MARK} meta mark set meta mark and ${OTHER_BITS}
	}
}
`;
}

/** Once each and in order; those inside Network are in the set already, and an interval set refuses overlaps. */
function outside(network: Prefix, gateways: readonly Address[]): string[] {
  const texts = new Set<string>();
  for (const gateway of [...gateways].sort((a, b) => Number(a.value) - Number(b.value))) {
    if (gateway.family === 4 && !containsAddress(network, gateway)) texts.add(gateway.text);
  }
  return [...texts];
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
 * The rules for every iptables backend in use. `marking`: our nft table is there to set the mark; where it is not,
 * sources in Network are accepted by address.
 */
export function iptablesRules(wanted: ForwardWanted, marking: boolean): IptablesRule[] {
  const { uplink, network, subnet } = wanted;
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
