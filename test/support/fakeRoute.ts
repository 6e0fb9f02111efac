/** Routes of the fake kernel in short: filled in from a few fields, compared, printed. */
import {
  type KernelRoute,
  PROTOCOL_BOOT,
  TABLE_MAIN,
  TYPE_UNICAST,
} from '../../src/route/types.ts';
import { storedMetric } from './fakeTable.ts';

/** A route of somebody else: what is left out is as `ip route add` would have it. It is put in unchecked. */
export type ForeignRoute = Partial<KernelRoute> & Pick<KernelRoute, 'prefix'>;

/** `route` with what was left out as `ip route add` would have it. */
export function wholeRoute(route: ForeignRoute): KernelRoute {
  return {
    gateway: undefined,
    device: 0,
    protocol: PROTOCOL_BOOT,
    table: TABLE_MAIN,
    type: TYPE_UNICAST,
    tos: 0,
    source: undefined,
    linkDown: false,
    more: false,
    ...route,
    metric: storedMetric(route.prefix, route.metric ?? 0),
  };
}

/** Addresses and prefixes compare by their text, the rest by itself. */
export function textOf(value: unknown): string {
  return typeof value === 'object' && value !== null && 'text' in value
    ? String(value.text)
    : String(value);
}

/** A route like a line of `ip route`. */
export function lineOf(route: KernelRoute, device: string): string {
  const parts = [route.prefix.text];
  if (route.gateway !== undefined) parts.push(`via ${route.gateway.text}`);
  if (route.device !== 0) parts.push(`dev ${device}`);
  parts.push(`proto ${route.protocol}`);
  if (route.type !== TYPE_UNICAST) parts.push(`type ${route.type}`);
  if (route.table !== TABLE_MAIN) parts.push(`table ${route.table}`);
  if (route.tos !== 0) parts.push(`tos ${route.tos}`);
  if (route.source !== undefined) parts.push(`src ${route.source.text}`);
  if (route.more) parts.push('and more');
  if (route.metric !== 0) parts.push(`metric ${route.metric}`);
  return parts.join(' ');
}
