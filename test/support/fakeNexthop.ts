/** Whether the kernel would take a route's next hop: the checks of fib_check_nh (IPv4) and ip6_route_info_create. */
import {
  type Address,
  containsAddress,
  type Prefix,
  parseInterfaceAddress,
} from '../../src/ip/index.ts';
import type { KernelRoute } from '../../src/route/types.ts';

export interface FakeLink {
  readonly index: number;
  readonly name: string;
  readonly up: boolean;
  readonly carrier: boolean;
}

export interface FakeAddress {
  readonly device: number;
  readonly address: Address;
  readonly prefix: Prefix;
}

export interface Refusal {
  readonly errno: number;
  readonly message?: string;
}

/** Why the kernel refuses to add `route` through `link`; undefined if it does not. */
export function checkAdd(
  route: KernelRoute,
  link: FakeLink | undefined,
  addresses: readonly FakeAddress[],
): Refusal | undefined {
  const { gateway, source } = route;
  if (gateway === undefined) return undefined;
  const onLink = addresses.some(
    (a) => a.device === route.device && containsAddress(a.prefix, gateway),
  );
  const noSource = source !== undefined && !isLocal(source, addresses);
  if (gateway.family === 4) {
    // IPv4 looks the gateway up through the device: a device that is down or does not exist finds nothing either.
    if (!link?.up || !onLink) return { errno: 101, message: 'Nexthop has invalid gateway' };
    return noSource ? { errno: 22, message: 'Invalid prefsrc address' } : undefined;
  }
  if (link === undefined) return { errno: 19 };
  if (isLocal(gateway, addresses)) {
    return { errno: 22, message: 'Gateway can not be a local address' };
  }
  const linkLocal = gateway.value >> 118n === 0x3fan;
  if (!link.up || !(onLink || linkLocal)) return { errno: 113 };
  return noSource ? { errno: 22, message: 'Invalid source address' } : undefined;
}

function isLocal(address: Address, addresses: readonly FakeAddress[]): boolean {
  return addresses.some((a) => a.address.text === address.text);
}

export function interfaceAddress(text: string): { address: Address; prefix: Prefix } {
  const parsed = parseInterfaceAddress(text);
  if (parsed === undefined) throw new Error(`not address/length: ${text}`);
  return parsed;
}
