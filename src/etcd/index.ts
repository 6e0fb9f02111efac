/** etcd: one session with the cluster, a watch that never loses an event, errors that say what to do. */
export { openEtcd } from './etcd.ts';
export type { EtcdOptions } from './options.ts';
export * from './types.ts';
