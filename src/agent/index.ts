/** The agent: all rooms together. */
export { HostUnusable } from './agent.ts';
export { dryRun, NoPlan } from './dryRun.ts';
export { OtherAgent, runAgent } from './start.ts';
