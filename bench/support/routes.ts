/** The routes of all benchmarks: 10.X.Y.0/24 via 172.16.1.0 and following, one gateway each. */
import { type Address, type Prefix, parsePrefix, prefixOf, v4 } from '../../src/ip/index.ts';
import type { DesiredChange } from '../../src/route/reconcilerTypes.ts';
import { type Route, type RouteOp, TABLE_MAIN } from '../../src/route/types.ts';

export const PROTOCOL = 99;
export const NETWORK = parsed('10.0.0.0/8');

const FIRST_PREFIX = 0x0a000000;
const FIRST_GATEWAY = 0xac100100;

export const prefixAt = (index: number): Prefix => prefixOf(v4(FIRST_PREFIX + index * 256), 24);

/** `shift` gives the same prefix another gateway. */
export const gatewayAt = (index: number, shift = 0): Address => v4(FIRST_GATEWAY + index + shift);

/** The metric of a gateway, spread over `metrics`. */
export function metricOf(gateway: Address, metrics: number): number {
  return (Number(gateway.value) - FIRST_GATEWAY) % metrics;
}

export function opsOf(
  kind: RouteOp['kind'],
  count: number,
  device: number,
  metrics: number,
): RouteOp[] {
  return Array.from({ length: count }, (_, index) => {
    const gateway = gatewayAt(index);
    const route: Route = {
      prefix: prefixAt(index),
      gateway,
      device,
      metric: metricOf(gateway, metrics),
      protocol: PROTOCOL,
      table: TABLE_MAIN,
    };
    return { kind, route };
  });
}

export function wantedOf(count: number, device: number): DesiredChange[] {
  const changes = Array.from({ length: count }, (_, index) => ({
    prefix: prefixAt(index),
    route: { gateway: gatewayAt(index), device },
  }));
  // Engines put a text together when it is first used. Where leases are read it is the key of a map, before any of this.
  new Set(changes.flatMap(({ prefix, route }) => [prefix.text, route.gateway.text])).clear();
  return changes;
}

function parsed(text: string): Prefix {
  const prefix = parsePrefix(text);
  if (prefix === undefined) throw new RangeError(text);
  return prefix;
}
