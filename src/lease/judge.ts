/**
 * Who is believed: one lease against the network config, our own subnet and this host's surroundings.
 * What depends on other leases (overlap, their gateways) is the peer book's.
 */
import type { NetworkConfig, SubnetRange } from '../config/index.ts';
import {
  type Address,
  containsAddress,
  containsPrefix,
  type Family,
  isUnicast,
  lastAddress,
  overlaps,
  type Prefix,
  sameAddress,
} from '../ip/index.ts';
import type { Subnets } from './codec.ts';
import { BACKEND_TYPE, type Lease, type Surroundings } from './types.ts';

export interface JudgeContext {
  readonly config: NetworkConfig;
  /** What this host holds, with the name of its key; undefined while it holds nothing. */
  readonly own: (Subnets & { readonly name: string }) | undefined;
  readonly surroundings: Surroundings;
}

/** What a believed lease asks for. */
export interface Peer {
  readonly prefix: Prefix;
  readonly gateway: Address;
}

/** `off-link` is told apart from `refused`: it may become true without the lease being touched. */
export type Verdict =
  | { readonly kind: 'ours' }
  | {
      readonly kind: 'believed';
      readonly peers: readonly Peer[];
      /** Why one family of the lease has no route, where only the other has. */
      readonly note: string | undefined;
    }
  | { readonly kind: 'off-link'; readonly reason: string }
  | { readonly kind: 'refused'; readonly reason: string }
  | { readonly kind: 'other-backend'; readonly reason: string };

/** Judges one lease by itself (design rule: no lease is believed unseen). Each reason is one sentence. */
export function judge(lease: Lease, context: JudgeContext): Verdict {
  if (lease.name === context.own?.name) return { kind: 'ours' };
  const name = `lease ${lease.name}`;
  if (lease.backendType !== BACKEND_TYPE) {
    const type = lease.backendType === '' ? 'no backend type' : `backend ${lease.backendType}`;
    return { kind: 'other-backend', reason: `${name} is of ${type}, not ${BACKEND_TYPE}` };
  }
  const peers: Peer[] = [];
  const offLink: string[] = [];
  const unnamed: string[] = [];
  for (const half of halvesOf(lease, context.config)) {
    const wrong = broken(half, context);
    if (wrong !== undefined) return { kind: 'refused', reason: `${name} ${wrong}` };
    const { prefix, gateway, field } = half;
    if (gateway === undefined) unnamed.push(`${name} names no ${field}`);
    else if (context.surroundings.onLink.some((link) => containsAddress(link, gateway)))
      peers.push({ prefix, gateway });
    else
      offLink.push(
        `${name} has gateway ${gateway.text}, which is not on-link: no prefix of the uplink holds it`,
      );
  }
  const reason = offLink[0] ?? unnamed[0];
  if (peers.length > 0) {
    const note = reason && `${reason}, so that it has a route in IPv${familyOfFirst(peers)} only`;
    return { kind: 'believed', peers, note: note ?? missingHalf(lease, context.config) };
  }
  if (reason !== undefined) return { kind: offLink.length > 0 ? 'off-link' : 'refused', reason };
  const has = lease.subnet === undefined ? 'IPv6' : 'IPv4';
  return { kind: 'refused', reason: `${name} is ${has} only, which the network config is not` };
}

const familyOfFirst = ([peer]: readonly Peer[]): Family => peer?.gateway.family ?? 4;

/** A lease from before the network had both families: it keeps the one that it has. */
function missingHalf(lease: Lease, { v4, v6 }: NetworkConfig): string | undefined {
  const lacks = (family: Family, has: Family): string =>
    `lease ${lease.name} has no IPv${family} subnet, which the network config asks for, so that it has a route in IPv${has} only`;
  if (v6 !== undefined && lease.subnet6 === undefined) return lacks(6, 4);
  if (v4 !== undefined && lease.subnet === undefined) return lacks(4, 6);
  return undefined;
}

interface Half {
  readonly family: Family;
  readonly field: 'PublicIP' | 'PublicIPv6';
  readonly prefix: Prefix;
  readonly gateway: Address | undefined;
  readonly range: SubnetRange;
}

/** The families that both the lease and the config have. */
function halvesOf(lease: Lease, config: NetworkConfig): Half[] {
  const halves: Half[] = [];
  const add = (
    family: Family,
    field: Half['field'],
    prefix: Prefix | undefined,
    gateway: Address | undefined,
    range: SubnetRange | undefined,
  ): void => {
    if (prefix !== undefined && range !== undefined)
      halves.push({ family, field, prefix, gateway, range });
  };
  add(4, 'PublicIP', lease.subnet, lease.publicIp, config.v4);
  add(6, 'PublicIPv6', lease.subnet6, lease.publicIp6, config.v6);
  return halves;
}

function broken(half: Half, context: JudgeContext): string | undefined {
  return brokenPrefix(half, context) ?? brokenGateway(half, context);
}

function brokenPrefix({ prefix, range }: Half, context: JudgeContext): string | undefined {
  const { surroundings, own } = context;
  const v6 = prefix.address.family === 6 ? 'IPv6' : '';
  if (!containsPrefix(range.network, prefix))
    return `is outside ${v6}Network ${range.network.text}`;
  // Prefixes have no host bits, so one of the right length inside Network is also aligned.
  if (prefix.length !== range.subnetLength)
    return `has length ${prefix.length}, but ${v6}SubnetLen is ${range.subnetLength}`;
  for (const ours of [own?.subnet, own?.subnet6])
    if (ours !== undefined && overlaps(prefix, ours)) return `overlaps our own ${ours.text}`;
  for (const link of surroundings.connected) {
    if (containsPrefix(prefix, link))
      return `${link.text === prefix.text ? 'equals' : 'contains'} the connected prefix ${link.text}`;
    // A LAN of 10.0.0.0/8 with Network 10.100.0.0/16 is legal: then every subnet lies inside the LAN.
    if (containsPrefix(link, prefix) && !containsPrefix(link, range.network))
      return `lies inside the connected prefix ${link.text}`;
  }
  for (const local of surroundings.localAddresses)
    if (containsAddress(prefix, local)) return `holds this host's address ${local.text}`;
  for (const router of surroundings.defaultGateways)
    if (containsAddress(prefix, router)) return `holds the default gateway ${router.text}`;
  return undefined;
}

function brokenGateway(
  { prefix, gateway }: Half,
  { surroundings, own }: JudgeContext,
): string | undefined {
  if (gateway === undefined) return undefined;
  const is = (what: string): string => `has gateway ${gateway.text}, which is ${what}`;
  if (!isUnicast(gateway)) return is(nonUnicast(gateway));
  if (surroundings.localAddresses.some((local) => sameAddress(local, gateway)))
    return is(
      `this host's own address${own === undefined ? '' : `: it is left as it is, for this host's key is ${own.name}`}`,
    );
  // A /31 or /32 has no broadcast address (RFC 3021), nor has IPv6.
  for (const link of surroundings.connected)
    if (gateway.family === 4 && link.length < 31 && lastAddress(link).value === gateway.value)
      return is(`the broadcast address of ${link.text}`);
  if (containsAddress(prefix, gateway)) return is("inside the lease's own subnet");
  return undefined;
}

function nonUnicast(address: Address): string {
  if (address.family === 4) {
    const first = address.value >>> 24;
    if (first === 127) return 'a loopback address';
    if (first >= 224 && first < 240) return 'a multicast address';
    return address.value === 0xffffffff ? 'the broadcast address' : 'not a unicast address';
  }
  if (address.value === 1n) return 'the loopback address';
  return address.value >> 120n === 0xffn ? 'a multicast address' : 'not a unicast address';
}

/** What is legal but worth one warning: a Network inside a connected prefix shadows part of that link. */
export function warningsFor({ config, surroundings }: JudgeContext): string[] {
  const warnings: string[] = [];
  for (const range of [config.v4, config.v6])
    for (const link of surroundings.connected)
      if (range !== undefined && containsPrefix(link, range.network))
        warnings.push(
          `${range.network.address.family === 6 ? 'IPv6' : ''}Network ${range.network.text} lies inside the connected prefix ${link.text}: hosts of that link with addresses in a peer's subnet cannot be reached`,
        );
  return warnings;
}
