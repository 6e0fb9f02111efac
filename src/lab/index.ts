/** Whole hosts as network namespaces, with real agents, etcd and Docker engines in them. */
export { type Container, startPlainContainer } from './container.ts';
export { type DockerEngine, type DockerOptions, dockerMissing, startDocker } from './docker.ts';
export { findEtcd, type LabEtcd, startEtcd } from './etcd.ts';
export type { Host, HostPlan, SubnetFile } from './host.ts';
export { type Lab, type LabOptions, openLab, recipeA, recipeB } from './lab.ts';
export { LabError, type Nest } from './nest.ts';
export { type Hop, parsePing, parseTraceroute, type Reply } from './probe.ts';
export type { Exit, LabProcess, Line } from './process.ts';
export { type RouteWatch, watchRoutes } from './routes.ts';
export { type AgentOptions, type Runtime, runtimePath } from './runtime.ts';
