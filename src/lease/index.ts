/** Leases: what they say, who is believed, and the life of our own. */
export { fits } from './allocator.ts';
export { type PublicAddresses, type ReadLease, readLease, type Subnets } from './codec.ts';
export { Departed, type DepartedSubnets } from './departed.ts';
export type { JudgeContext, Peer, Verdict } from './judge.ts';
export {
  Keeper,
  type KeeperInput,
  type KeeperOptions,
  type KeeperOutput,
  type KeeperState,
} from './keeper.ts';
export { Own } from './own.ts';
export { heldByDisk, namesUs } from './ownership.ts';
export { subnetsOf, subnetsText } from './ownText.ts';
export type {
  ConfigState,
  HeldSubnet,
  LostSubnet,
  OwnInput,
  OwnOptions,
  OwnOutput,
  OwnStatus,
} from './ownTypes.ts';
export { type BookChanges, PeerBook, type PeerRouteChange, type PeerStatus } from './peerBook.ts';
export { planRelease, type ReleasePlan } from './release.ts';
export { type LoadedState, loadState, type OwnState, removeState, saveState } from './state.ts';
export type { Lease, Surroundings } from './types.ts';
export { type LeaseFeed, type Leases, LeaseView } from './view.ts';
export { type DiskView, type LoadedView, loadView, saveView } from './viewFile.ts';
export { ViewRecord } from './viewRecord.ts';
