/** Routes and operations in a few words, for the tests of drivers. */
import { type Address, type Prefix, parseAddress, parsePrefix } from '../../src/ip/index.ts';
import type { DumpFilter, Route, RouteOp } from '../../src/route/index.ts';

export const OURS = 77;
export const RIVAL = 42;

export function address(text: string): Address {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new Error(`not an address: ${text}`);
  return parsed;
}

export function prefix(text: string): Prefix {
  const parsed = parsePrefix(text);
  if (parsed === undefined) throw new Error(`not a prefix: ${text}`);
  return parsed;
}

/** A route of ours in table main, metric 0. */
export function route(
  device: number,
  prefixText: string,
  gatewayText: string,
  more: Partial<Route> = {},
): Route {
  const base = { prefix: prefix(prefixText), gateway: address(gatewayText), device };
  return { ...base, metric: 0, protocol: OURS, table: 254, ...more };
}

export const add = (r: Route): RouteOp => ({ kind: 'add', route: r });
export const append = (r: Route): RouteOp => ({ kind: 'append', route: r });
export const remove = (r: Route): RouteOp => ({ kind: 'delete', route: r });

/** Our protocol in table main, and everything inside the given prefixes. */
export function filter(...within: string[]): DumpFilter {
  return { table: 254, protocol: OURS, within: within.map(prefix) };
}

/** The same scene in both families: two gateways on the link, one that is not, a prefix, another. */
export const FAMILIES = [
  {
    family: 4,
    p: '10.1.0.0/24',
    other: '10.2.0.0/24',
    gw: '10.10.10.9',
    gw2: '10.10.10.8',
    offLink: '10.99.0.1',
    network: '10.1.0.0/16',
    kernelMetric: 0,
  },
  {
    family: 6,
    p: 'fd01:1::/64',
    other: 'fd02:1::/64',
    gw: 'fd00::9',
    gw2: 'fd00::8',
    offLink: 'fd99::1',
    network: 'fd01::/16',
    kernelMetric: 1024,
  },
] as const;
