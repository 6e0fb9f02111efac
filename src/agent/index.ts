/** The agent: all rooms together. */
export { HostUnusable } from './agent.ts';
export { OtherAgent, runAgent } from './start.ts';
