/** What the agent is told: by its command line and environment, and by the network config in etcd. */
export { environmentName, FLAGS, type Flag, fromGoSpelling } from './flags.ts';
export { type NetworkConfig, parseNetworkConfig, type SubnetRange } from './network.ts';
export { type AgentOptions, agentOptions, type GivenFlags } from './options.ts';
