/**
 * A lease's key name and value, byte for byte as flannel writes them, and read back as tolerantly as Go does.
 * Nothing that was read reaches a sentence unshortened or unescaped.
 */
import {
  type Address,
  bitsOf,
  type Family,
  type Prefix,
  parseAddress,
  prefixOf,
} from '../ip/index.ts';
import type { StoredKey } from './keys.ts';
import { printable } from './printable.ts';
import { BACKEND_TYPE, type Lease } from './types.ts';

/** The subnets of one lease; at least one is there. */
export interface Subnets {
  readonly subnet: Prefix | undefined;
  readonly subnet6: Prefix | undefined;
}

/** A host's addresses as its lease names them. */
export interface PublicAddresses {
  readonly publicIp: Address | undefined;
  readonly publicIp6: Address | undefined;
}

/** A key under `subnets/` that is no lease. Where its name still names subnets, they count as taken. */
export interface Malformed extends Subnets {
  /** Fit for a log. */
  readonly name: string;
  /** One sentence that names the key. */
  readonly reason: string;
  readonly etcdLease: string;
  readonly createRevision: number;
  readonly modRevision: number;
}

export type ReadLease =
  | { readonly kind: 'lease'; readonly lease: Lease }
  | ({ readonly kind: 'malformed' } & Malformed);

// An attribute object is about 100 bytes; with a backend's data it stays under a kilobyte.
const VALUE_CHARACTERS_MAX = 16_384;
const NAME = /^(\d{1,3}(?:\.\d{1,3}){3})-(\d{1,3})(?:&([0-9a-fA-F:.]{2,45})-(\d{1,3}))?$/;
// What flannel writes for the IPv4 half of an IPv6-only lease: its zero value.
const NO_SUBNET = '0.0.0.0-0';
const NO_ADDRESS = '0.0.0.0';

/** The key name of a lease: `10.100.3.0-24`, `10.100.3.0-24&fd00:1:2::-64`, `0.0.0.0-0&fd00:1:2::-64`. */
export function subnetName({ subnet, subnet6 }: Subnets): string {
  const half = (prefix: Prefix): string => `${prefix.address.text}-${prefix.length}`;
  const first = subnet === undefined ? NO_SUBNET : half(subnet);
  return subnet6 === undefined ? first : `${first}&${half(subnet6)}`;
}

/** The subnets that a key name names, host bits cut off; undefined if it is no name of subnets. */
export function parseSubnetName(name: string): Subnets | undefined {
  const [, ip4, length4, ip6, length6] = NAME.exec(name) ?? [];
  if (ip4 === undefined || length4 === undefined) return undefined;
  const subnet = half(4, ip4, length4);
  if (subnet === undefined) return undefined;
  if (ip6 === undefined || length6 === undefined) return { subnet, subnet6: undefined };
  const subnet6 = half(6, ip6, length6);
  if (subnet6 === undefined) return undefined;
  return { subnet: subnet.length === 0 ? undefined : subnet, subnet6 };
}

function half(family: Family, text: string, length: string): Prefix | undefined {
  const address = parseAddress(text);
  if (address?.family !== family || Number(length) > bitsOf(family)) return undefined;
  return prefixOf(address, Number(length));
}

/** The value flannel's Go encoder writes for these addresses: same fields, same order, no blanks. */
export function leaseValue({ publicIp, publicIp6 }: PublicAddresses): string {
  return JSON.stringify({
    PublicIP: publicIp?.text ?? NO_ADDRESS,
    PublicIPv6: publicIp6?.text ?? null,
    BackendType: BACKEND_TYPE,
  });
}

/** Reads one key; `name` is what follows `subnets/`. */
export function readLease(name: string, entry: StoredKey): ReadLease {
  const subnets = parseSubnetName(name);
  const { createRevision, modRevision, lease: etcdLease } = entry;
  const place = { createRevision, modRevision, etcdLease };
  const none: Subnets = { subnet: undefined, subnet6: undefined };
  const malformed = (reason: string): ReadLease => {
    const shown = printable(name);
    const why = `lease ${shown} ${reason}`;
    return { kind: 'malformed', name: shown, reason: why, ...(subnets ?? none), ...place };
  };
  if (subnets === undefined) return malformed('is not named like 10.100.3.0-24');
  // One subnet has one name, so a create-if-absent of the name is one of the subnet.
  const canonical = subnetName(subnets);
  if (canonical !== name) return malformed(`should be named ${canonical}`);
  const attributes = readAttributes(entry.value);
  if (typeof attributes === 'string') return malformed(attributes);
  return { kind: 'lease', lease: { name, ...subnets, ...attributes, ...place } };
}

type Attributes = PublicAddresses & { readonly backendType: string };

/** The attributes, or what is wrong with the value. */
function readAttributes(value: string): Attributes | string {
  if (value.length > VALUE_CHARACTERS_MAX) return `has a value of ${value.length} characters`;
  let json: unknown;
  try {
    json = JSON.parse(value);
  } catch {
    return `has a value that is not JSON: ${printable(value)}`;
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json))
    return `has a value that is not a JSON object: ${printable(value)}`;
  // Go matches field names without regard to case, and the last one wins.
  const fields = new Map<string, unknown>();
  for (const [field, content] of Object.entries(json)) fields.set(field.toLowerCase(), content);
  const publicIp = readAddress(4, fields.get('publicip'));
  if (typeof publicIp === 'string') return `has PublicIP ${publicIp}`;
  const publicIp6 = readAddress(6, fields.get('publicipv6'));
  if (typeof publicIp6 === 'string') return `has PublicIPv6 ${publicIp6}`;
  const backendType = fields.get('backendtype') ?? '';
  if (typeof backendType !== 'string')
    return `has BackendType ${shownJson(backendType)}, which is not a string`;
  // Nearly all are of one type: one text for all of them.
  const type = backendType === BACKEND_TYPE ? BACKEND_TYPE : printable(backendType);
  return { publicIp, publicIp6, backendType: type };
}

function readAddress(family: Family, content: unknown): Address | undefined | string {
  if (content === undefined || content === null || content === '') return undefined;
  const address = typeof content === 'string' ? parseAddress(content) : undefined;
  if (address?.family !== family)
    return `${shownJson(content)}, which is not an IPv${family} address`;
  return isZero(address) ? undefined : address;
}

const isZero = (address: Address): boolean => address.value === 0 || address.value === 0n;

const shownJson = (content: unknown): string => printable(JSON.stringify(content));
