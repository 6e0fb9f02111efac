/** This machine: facts, uplink, forwarding, forward rules, subnet file, systemd, the lock. */
export * from './facts.ts';
export * from './forward/index.ts';
export * from './forwarding.ts';
export * from './lock.ts';
export * from './subnetFile.ts';
export * from './surroundings.ts';
export * from './systemd.ts';
export * from './uplink.ts';
