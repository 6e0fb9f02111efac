/** Rows of the kernel's table, and wishes, compared field by field. */
import { sameAddress } from '../ip/index.ts';
import { type KernelRoute, type Route, TYPE_UNICAST } from './types.ts';

export function sameWish(a: Route | undefined, b: Route | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  if (!sameAddress(a.gateway, b.gateway) || !sameAddress(a.source, b.source)) return false;
  return a.device === b.device && a.metric === b.metric;
}

export function nexthopText(route: Route | KernelRoute): string {
  return `${route.gateway?.text} ${route.device} ${route.metric}`;
}

export function sameRows(a: readonly KernelRoute[], b: readonly KernelRoute[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i += 1) {
    const [x, y] = [a[i], b[i]];
    if (x === undefined || y === undefined || !sameRow(x, y)) return false;
  }
  return true;
}

export function sameRow(a: KernelRoute, b: KernelRoute): boolean {
  return (
    sameAddress(a.gateway, b.gateway) &&
    a.device === b.device &&
    a.metric === b.metric &&
    a.protocol === b.protocol &&
    a.table === b.table &&
    a.type === b.type &&
    a.tos === b.tos &&
    sameAddress(a.source, b.source) &&
    a.linkDown === b.linkDown &&
    a.more === b.more
  );
}

/**
 * Whether no table holds both. IPv6 refuses a second route with the same nexthop and metric whoever owns it, IPv4 one
 * that is the same in every field; what the link is like says nothing.
 */
export function excludeEachOther(a: KernelRoute, b: KernelRoute): boolean {
  const { linkDown, protocol, source } = b;
  if (a.prefix.address.family === 4) return sameRow({ ...a, linkDown }, b);
  return sameRow({ ...a, linkDown, protocol, source }, b);
}

/** Whether an exact delete of `route` takes `row`, if it is the first: it names nothing more, and matches any more. */
export function isRow(route: Route, row: KernelRoute): boolean {
  return sameRow({ ...rowOf(route), linkDown: row.linkDown, more: row.more }, row);
}

/** The row that the kernel has once `route` is added. */
export function rowOf(route: Route): KernelRoute {
  const { prefix, gateway, device, metric, protocol, table, source } = route;
  return {
    prefix,
    gateway,
    device,
    metric,
    protocol,
    table,
    source,
    type: TYPE_UNICAST,
    tos: 0,
    linkDown: false,
    more: false,
  };
}
