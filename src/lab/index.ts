/** Whole hosts as network namespaces, with real agents, etcd and Docker engines in them. */
export { type Container, startPlainContainer } from './container.ts';
export { type DockerOptions, dockerMissing, startDocker } from './docker.ts';
export { findEtcd, type LabEtcd, startEtcd } from './etcd.ts';
export type { Host } from './host.ts';
export { type Lab, type LabOptions, openLab, recipeA, recipeB } from './lab.ts';
export { LabError } from './nest.ts';
export { parsePing, parseTraceroute } from './probe.ts';
export type { LabProcess } from './process.ts';
export { watchRoutes } from './routes.ts';
export { type AgentOptions, runtimePath } from './runtime.ts';
