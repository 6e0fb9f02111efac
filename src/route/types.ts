/**
 * Routes, operations and the one interface of every route driver (native, ip, the tests' fake kernel).
 * Constants are the kernel's (include/uapi/linux/rtnetlink.h).
 */
import type { Address, Prefix } from '../ip/index.ts';
import type { NeighbourDriver } from './neighbours/types.ts';

/** RT_TABLE_MAIN. */
export const TABLE_MAIN = 254;
/** RTPROT_BOOT: what `ip route add` and flannel write. */
export const PROTOCOL_BOOT = 3;
/** RTN_UNICAST: the only route type we create. */
export const TYPE_UNICAST = 1;

/** A unicast route as we write it. All fields together identify it for an exact delete. */
export interface Route {
  /** Without host bits: the kernel refuses them. */
  readonly prefix: Prefix;
  /** Unicast. That it is not the host's own the caller sees to: in IPv4 the kernel takes that, and loses the packets. */
  readonly gateway: Address;
  /** Interface index of the outgoing device. */
  readonly device: number;
  /** 0 to 4294967295. The kernel stores IPv6's 0 as 1024; dumps give 0 back as 1024. */
  readonly metric: number;
  /** Route protocol number, 5 to 255 for our own. */
  readonly protocol: number;
  /** Table number, 1 to 4294967295. */
  readonly table: number;
  /** Preferred source address. */
  readonly source?: Address;
}

/** A route as a dump shows it, of whatever owner and kind. */
export interface KernelRoute {
  readonly prefix: Prefix;
  /**
   * Undefined for connected, unreachable and IPv4 multipath routes. Each of several IPv6 siblings is a row of its own,
   * but all bear the first one's protocol: the kernel tells no other.
   */
  readonly gateway: Address | undefined;
  /** Interface index; 0 where the route has none or several. */
  readonly device: number;
  readonly metric: number;
  readonly protocol: number;
  readonly table: number;
  /** RTN_*: 1 unicast, 6 blackhole, 7 unreachable... */
  readonly type: number;
  readonly tos: number;
  readonly source: Address | undefined;
  /** RTNH_F_LINKDOWN: carrier lost, route kept but unused. */
  readonly linkDown: boolean;
  /**
   * It says more than a `Route` can: mtu or other metrics, encapsulation, a nexthop object, realms, onlink, a narrower
   * scope, whatever the reader does not know. No operation of ours names that, so such a route is never ours.
   */
  readonly more: boolean;
}

/**
 * add: CREATE|EXCL, fails with EEXIST if (prefix, tos, metric) is taken by anyone.
 * append: CREATE|APPEND, comes after what is there (IPv4) or becomes a sibling (IPv6). EEXIST if the same is there: in
 * IPv4 the same in every field, in IPv6 the same gateway and device at the same metric, whatever its protocol.
 * delete: exact: protocol, metric, gateway and device must match; ESRCH if there is none such. (In IPv4 the kernel takes
 * metric 0 for any, lowest first: then another metric's route of the same protocol, gateway and device may go.)
 */
export interface RouteOp {
  readonly kind: 'add' | 'append' | 'delete';
  readonly route: Route;
}

/** What one operation of a batch failed with. */
export interface OpFailure {
  /** Index into the batch. */
  readonly index: number;
  /** Positive errno of Linux, e.g. 17 for EEXIST. */
  readonly errno: number;
  /** Its name, e.g. `EEXIST`. */
  readonly code: string;
  /** The kernel's own sentence where it gave one, else the errno's usual text. */
  readonly message: string;
}

/**
 * What became of a batch. `complete`: each operation is either in `failures` or done.
 * `unknown`: replies were lost (ENOBUFS, a missing last ack, a killed process): operations may or may not
 * have been done; only a dump tells. Never report an unknown operation as failed.
 */
export type ApplyResult =
  | { readonly kind: 'complete'; readonly failures: readonly OpFailure[] }
  | { readonly kind: 'unknown'; readonly reason: string };

/** Which routes a dump returns: those of `protocol` anywhere in `table`, and of any owner inside `within`. */
export interface DumpFilter {
  readonly table: number;
  readonly protocol: number;
  readonly within: readonly Prefix[];
}

/** What may have changed since the last hint. A hint says "look again", never what is there. */
export interface Hint {
  readonly links: boolean;
  readonly addresses: boolean;
  readonly routes: boolean;
}

export interface RouteDriver {
  readonly name: string;
  /** Its hints about addresses tell of default routes and connected prefixes too, in its table and in main. */
  readonly hearsSurroundings?: boolean;
  /** The gateways' neighbour entries, where this driver can keep them; by the same socket, so closed with it. */
  readonly neighbours?: NeighbourDriver;
  /**
   * The kernel's routes, in the kernel's order per prefix; the very array of an earlier dump only if that said the same.
   * Rejects with RouteDriverError if the dump is not complete.
   */
  dump(filter: DumpFilter): Promise<readonly KernelRoute[]>;
  /**
   * Applies the operations in order in one batch; a failing one does not stop the rest. One call at a time.
   * Throws RangeError, before anything is sent, for an operation that cannot be encoded (names its index and the rule).
   */
  apply(ops: readonly RouteOp[]): Promise<ApplyResult>;
  /**
   * Calls `onHint` after links, addresses or routes (ours, or inside `filter.within`) may have changed, several changes
   * merged into one call; what this driver's own `apply` changed may be left out. Resolves once nothing that happens from now on can be missed. Lost events count as a change.
   * A later call replaces the earlier one.
   */
  listen(filter: DumpFilter, onHint: (hint: Hint) => void): Promise<void>;
  /** Ends listening and frees everything; nothing is called afterwards. Routes stay. */
  close(): Promise<void>;
}

/** A driver's failure that is not one operation's: said as one sentence. */
export class RouteDriverError extends Error {
  override readonly name = 'RouteDriverError';
}

/** The identity of a route among those of one prefix; equal text, equal route. */
export function routeText(route: Route | KernelRoute): string {
  const via = route.gateway === undefined ? '' : ` via ${route.gateway.text}`;
  const src = route.source === undefined ? '' : ` src ${route.source.text}`;
  return `${route.prefix.text}${via} dev ${route.device} proto ${route.protocol} metric ${route.metric}${src} table ${route.table}`;
}
