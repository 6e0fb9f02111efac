/** The agent: all rooms together. */
export { dryRun, NoPlan } from './dryRun.ts';
export { HostUnusable } from './hostUnusable.ts';
export { runRelease } from './release.ts';
export { OtherAgent, runAgent } from './start.ts';
