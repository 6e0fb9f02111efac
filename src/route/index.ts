/** Routes: desired against actual, and the drivers that read and write the kernel's. */
export { isMassLoss } from './hold.ts';
export type { DeviceLink } from './links.ts';
export { type MetricChoice, RouteMetrics } from './metric.ts';
export { nativeFirewall, nativeNotify } from './native/index.ts';
export * from './neighbours/index.ts';
export * from './open.ts';
export { IN_PLACE } from './peer.ts';
export { Reconciler } from './reconciler.ts';
export * from './reconcilerTypes.ts';
export { type Rehearsal, rehearse } from './rehearsal.ts';
export * from './run.ts';
export { ipRouteText } from './text.ts';
export * from './types.ts';
