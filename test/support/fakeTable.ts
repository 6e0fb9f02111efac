/**
 * The fake kernel's routing table: per prefix an ordered list of routes, as fib_trie and ip6_fib keep it.
 * Inserts, exact deletes and dumps follow the rules in `RouteOp`; nothing here knows links or addresses.
 */
import { containsPrefix, type Prefix } from '../../src/ip/index.ts';
import {
  type DumpFilter,
  type KernelRoute,
  type Route,
  TYPE_UNICAST,
} from '../../src/route/types.ts';

/** The kernel stores IPv6's metric 0 as IP6_RT_PRIO_USER. */
export function storedMetric(prefix: Prefix, metric: number): number {
  return prefix.address.family === 6 && metric === 0 ? 1024 : metric;
}

export function kernelRouteOf(route: Route): KernelRoute {
  return {
    prefix: route.prefix,
    gateway: route.gateway,
    device: route.device,
    metric: storedMetric(route.prefix, route.metric),
    protocol: route.protocol,
    table: route.table,
    type: TYPE_UNICAST,
    tos: 0,
    source: route.source,
    linkDown: false,
    more: false,
  };
}

/** Whether the listener or dump of `filter` sees `route`. */
export function sees(filter: DumpFilter, route: KernelRoute): boolean {
  if (route.table !== filter.table) return false;
  if (route.protocol === filter.protocol) return true;
  return filter.within.some((prefix) => containsPrefix(prefix, route.prefix));
}

const keyOf = (table: number, prefix: Prefix): string => `${table} ${prefix.text}`;
const sameNexthop = (a: KernelRoute, b: KernelRoute): boolean =>
  a.gateway?.text === b.gateway?.text && a.device === b.device;
const isSibling = (route: KernelRoute): boolean =>
  route.prefix.address.family === 6 && route.gateway !== undefined;

export class FakeTable {
  readonly #lists = new Map<string, KernelRoute[]>();

  /** Puts `route` behind those of its (prefix, tos, metric); undefined if done, else why not. */
  insert(route: KernelRoute, exclusive: boolean): 'EEXIST' | undefined {
    const key = keyOf(route.table, route.prefix);
    const list = this.#lists.get(key) ?? [];
    const same = list.filter((r) => r.tos === route.tos && r.metric === route.metric);
    if (exclusive && same.length > 0) return 'EEXIST';
    // An append of what is there already: IPv4 compares the whole fib_info, IPv6 the nexthop alone.
    const twin = same.some(
      (r) =>
        sameNexthop(r, route) &&
        (isSibling(route) ||
          (r.protocol === route.protocol &&
            r.type === route.type &&
            r.more === route.more &&
            r.source?.text === route.source?.text)),
    );
    if (twin) return 'EEXIST';
    // A higher tos comes first, then the lower metric.
    const before = (r: KernelRoute): boolean =>
      r.tos > route.tos || (r.tos === route.tos && r.metric <= route.metric);
    list.splice(list.filter(before).length, 0, route);
    this.#lists.set(key, list);
    return undefined;
  }

  /**
   * Takes away the first route that `route` names exactly. Two of the kernel's laxities hold here too: in IPv4 the
   * metric 0 matches any metric, and a source that is not given matches any source.
   */
  deleteExact(route: Route): KernelRoute | undefined {
    const { family } = route.prefix.address;
    const metric = storedMetric(route.prefix, route.metric);
    const list = this.#lists.get(keyOf(route.table, route.prefix)) ?? [];
    const found = list.find(
      (r) =>
        r.tos === 0 &&
        r.type === TYPE_UNICAST &&
        r.protocol === route.protocol &&
        r.gateway?.text === route.gateway.text &&
        r.device === route.device &&
        (r.metric === metric || (family === 4 && metric === 0)) &&
        (family === 6 || route.source === undefined || r.source?.text === route.source.text),
    );
    if (found !== undefined) this.removeWhere((r) => r === found, list);
    return found;
  }

  /** Takes away every route that `doomed` picks and returns them; `list` narrows the search to one prefix. */
  removeWhere(doomed: (route: KernelRoute) => boolean, list?: KernelRoute[]): KernelRoute[] {
    const gone: KernelRoute[] = [];
    for (const routes of list === undefined ? [...this.#lists.values()] : [list]) {
      const kept = routes.filter((route) => !doomed(route));
      if (kept.length === routes.length) continue;
      gone.push(...routes.filter(doomed));
      const [first] = routes;
      if (kept.length === 0 && first !== undefined) {
        this.#lists.delete(keyOf(first.table, first.prefix));
      }
      routes.splice(0, routes.length, ...kept);
    }
    return gone;
  }

  /** Changes routes in place, keeping their order. */
  replaceEach(change: (route: KernelRoute) => KernelRoute): void {
    for (const routes of this.#lists.values())
      routes.splice(0, routes.length, ...routes.map(change));
  }

  /** Every route as it truly is, in the kernel's order per prefix. */
  *all(): Generator<KernelRoute> {
    for (const routes of this.#lists.values()) yield* routes;
  }

  /**
   * What a dump shows. IPv6 routes with a gateway and the same metric are siblings: the kernel sends them as one
   * multipath message with the first one's protocol, so the protocol of the others cannot be seen.
   */
  dump(filter: DumpFilter): KernelRoute[] {
    const shown: KernelRoute[] = [];
    for (const routes of this.#lists.values()) {
      let lead: KernelRoute | undefined;
      for (const route of routes) {
        if (!isSibling(route)) {
          if (sees(filter, route)) shown.push(route);
          continue;
        }
        if (lead?.metric !== route.metric) lead = route;
        const seen =
          lead.protocol === route.protocol ? route : { ...route, protocol: lead.protocol };
        if (sees(filter, seen)) shown.push(seen);
      }
    }
    return shown;
  }
}
