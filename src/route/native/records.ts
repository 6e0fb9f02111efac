/**
 * The packed records in which operations, filters and routes cross to and from the addon.
 * The layout is described once, in native/rtnetlink/src/record.rs; `ABI` there and here change together.
 */
import { type Address, prefixOf, v4, v6 } from '../../ip/index.ts';
import type { DumpFilter, KernelRoute, Route, RouteOp } from '../types.ts';

/** The layouts' and functions' number: an addon with another one is not used. */
export const ABI = 4;
/** Bytes of one record. */
export const RECORD = 68;
const FILTER = 8;
const FILTER_PREFIX = 20;

const FLAG_V6 = 1;
const FLAG_GATEWAY = 2;
const FLAG_GATEWAY_V6 = 4;
const FLAG_SOURCE = 8;
const FLAG_LINK_DOWN = 16;
const FLAG_MORE = 32;

const KINDS = { add: 1, append: 2, delete: 3 } as const;

/** Packs a batch; the operations have been checked (checkOps). */
export function encodeOps(ops: readonly RouteOp[]): Uint8Array {
  const bytes = new Uint8Array(ops.length * RECORD);
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const { kind, route } of ops) {
    encodeRoute(view, at, KINDS[kind], route);
    at += RECORD;
  }
  return bytes;
}

function encodeRoute(view: DataView, at: number, kind: number, route: Route): void {
  const { prefix, gateway, source } = route;
  const flags =
    FLAG_GATEWAY |
    (prefix.address.family === 6 ? FLAG_V6 : 0) |
    (gateway.family === 6 ? FLAG_GATEWAY_V6 : 0) |
    (source === undefined ? 0 : FLAG_SOURCE);
  view.setUint8(at, kind);
  view.setUint8(at + 1, flags);
  view.setUint8(at + 2, prefix.length);
  view.setUint8(at + 3, route.protocol);
  view.setUint32(at + 8, route.table, true);
  view.setUint32(at + 12, route.metric, true);
  view.setUint32(at + 16, route.device, true);
  putAddress(view, at + 20, prefix.address);
  putAddress(view, at + 36, gateway);
  if (source !== undefined) putAddress(view, at + 52, source);
}

/** Packs a filter. */
export function encodeFilter(filter: DumpFilter): Uint8Array {
  const bytes = new Uint8Array(FILTER + filter.within.length * FILTER_PREFIX);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, filter.table, true);
  view.setUint8(4, filter.protocol);
  filter.within.forEach((prefix, index) => {
    const at = FILTER + index * FILTER_PREFIX;
    view.setUint8(at, prefix.address.family === 6 ? FLAG_V6 : 0);
    view.setUint8(at + 1, prefix.length);
    putAddress(view, at + 4, prefix.address);
  });
  return bytes;
}

/** Unpacks the route that begins at `at`. */
export function decodeRoute(view: DataView, at: number): KernelRoute {
  const flags = view.getUint8(at + 1);
  const isV6 = (flags & FLAG_V6) !== 0;
  return {
    prefix: prefixOf(getAddress(view, at + 20, isV6), view.getUint8(at + 2)),
    gateway:
      (flags & FLAG_GATEWAY) === 0
        ? undefined
        : getAddress(view, at + 36, (flags & FLAG_GATEWAY_V6) !== 0),
    device: view.getUint32(at + 16, true),
    metric: view.getUint32(at + 12, true),
    protocol: view.getUint8(at + 3),
    table: view.getUint32(at + 8, true),
    type: view.getUint8(at),
    tos: view.getUint8(at + 4),
    source: (flags & FLAG_SOURCE) === 0 ? undefined : getAddress(view, at + 52, isV6),
    linkDown: (flags & FLAG_LINK_DOWN) !== 0,
    more: (flags & FLAG_MORE) !== 0,
  };
}

export function putAddress(view: DataView, at: number, address: Address): void {
  if (address.family === 4) {
    view.setUint32(at, address.value);
    return;
  }
  view.setBigUint64(at, address.value >> 64n);
  view.setBigUint64(at + 8, BigInt.asUintN(64, address.value));
}

export function getAddress(view: DataView, at: number, isV6: boolean): Address {
  if (!isV6) return v4(view.getUint32(at));
  return v6((view.getBigUint64(at) << 64n) | view.getBigUint64(at + 8));
}
