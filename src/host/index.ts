/** This machine: facts, uplink, forwarding, forward rules, subnet file, systemd, the lock. */
export { type HostFacts, type Link, readHostFacts } from './facts.ts';
export {
  type ForwardPorts,
  ForwardRules,
  type ForwardStatus,
  type ForwardWanted,
  type Hear,
} from './forward/index.ts';
export { ensureForwarding, type ForwardingOutcome } from './forwarding.ts';
export { acquireLock, type Lock, lockHolder } from './lock.ts';
export { machineIdentity, machineMark } from './machine.ts';
export { type NeighbourLimits, readNeighbourLimits } from './neighbourLimits.ts';
export {
  type PreviousSubnets,
  readSubnetFile,
  type SubnetFile,
  subnetFileSays,
  writeSubnetFile,
} from './subnetFile.ts';
export { type HostSurroundings, surroundingsOf } from './surroundings.ts';
export { type Notifier, systemdNotifier } from './systemd.ts';
export { findUplink, stayWithUplink, type UplinkChoice, type UplinkOptions } from './uplink.ts';
export { tableOfVrf } from './vrf.ts';
