/**
 * Whose a key is, seen from this host (design rule: a subnet is for life).
 * Ours by the etcd lease that we chose, else by our address; foreign if it has neither our etcd lease nor an
 * address that this host has or had; in between we neither write to it nor give it up.
 */
import { type Address, overlaps, type Prefix } from '../ip/index.ts';
import type { PublicAddresses, ReadLease } from './codec.ts';
import { subnetsOf } from './ownText.ts';
import type { Condition, HeldSubnet } from './ownTypes.ts';
import type { OwnState } from './state.ts';
import { BACKEND_TYPE, type Lease } from './types.ts';
import type { Leases } from './view.ts';

export type Ownership =
  | { readonly kind: 'absent' }
  | {
      readonly kind: 'ours';
      /** The value says what we would write. */
      readonly matches: boolean;
      /** A key without an etcd lease: kept as one. */
      readonly reservation: boolean;
      readonly modRevision: number;
    }
  /** It has our address and hangs on an etcd lease that is not ours: flannel's, or ours of a state that was lost. */
  | { readonly kind: 'adoptable'; readonly modRevision: number }
  /** It has an address that this host has or had, but another host may have had it too: under an etcd lease not ours. */
  | {
      readonly kind: 'unclear';
      readonly name: string;
      readonly address: string;
      readonly modRevision: number;
    }
  | {
      readonly kind: 'foreign';
      /** Name of the owner's key: ours, or one that has a half of our subnet. */
      readonly name: string;
      readonly owner: string;
      readonly etcdLease: string;
      readonly modRevision: number;
    };

/**
 * Whose our subnet is: by the key that `own` names, unless an older one of another host has a half of it (flanneld draws
 * each family's by itself). `here` are the addresses that we would write, `twin` the etcd lease that was ours until
 * another host wrote under it.
 */
export function ownershipOf(
  leases: Leases,
  own: OwnState,
  here: PublicAddresses,
  twin: string | undefined,
): Ownership {
  const read = leases.get(own.subnet);
  const byKey = ownershipOfKey(read, own, here, twin);
  if (byKey.kind === 'foreign' || byKey.kind === 'unclear') return byKey;
  const since = read?.kind === 'lease' ? read.lease.createRevision : Infinity;
  const older = ownerOfHalf(leases, own, here, since);
  if (older === undefined) return byKey;
  const { name, etcdLease, modRevision } = older;
  const had = addressOf(older, ({ text }) => hadBy(own).includes(text));
  if (had !== undefined) return { kind: 'unclear', name, address: had.text, modRevision };
  return { kind: 'foreign', name, owner: ownerText(older), etcdLease, modRevision };
}

/** The oldest lease before `since` that names one family's subnet of ours, under a key that is not ours. */
function ownerOfHalf(
  leases: Leases,
  own: OwnState,
  here: PublicAddresses,
  since: number,
): Lease | undefined {
  const { subnet, subnet6 } = subnetsOf(own.subnet);
  let oldest: Lease | undefined;
  for (const read of leases.values()) {
    if (read.kind !== 'lease') continue;
    const { lease } = read;
    if (lease.createRevision >= (oldest?.createRevision ?? since)) continue;
    if (!isSame(subnet, lease.subnet) && !isSame(subnet6, lease.subnet6)) continue;
    const ours = lease.etcdLease === own.etcdLease || namesUs(lease, here);
    if (lease.name !== own.subnet && !ours) oldest = lease;
  }
  return oldest;
}

const isSame = (a: Prefix | undefined, b: Prefix | undefined): boolean =>
  a !== undefined && b !== undefined && a.length === b.length && overlaps(a, b);

/** Every address that our key had or was to have. */
const hadBy = ({ addresses, tried = [] }: OwnState): string[] => [...addresses, ...tried];

const addressOf = (lease: Lease, is: (address: Address) => boolean): Address | undefined =>
  [lease.publicIp, lease.publicIp6].find((address) => address !== undefined && is(address));

/** The same by our key alone, as it was read. */
export function ownershipOfKey(
  read: ReadLease | undefined,
  own: OwnState,
  here: PublicAddresses,
  twin: string | undefined,
): Ownership {
  if (read === undefined) return { kind: 'absent' };
  if (read.kind === 'malformed') {
    const { etcdLease, modRevision } = read;
    if (etcdLease === own.etcdLease)
      return { kind: 'ours', matches: false, reservation: false, modRevision };
    return {
      kind: 'foreign',
      name: own.subnet,
      owner: 'an owner whose value cannot be read',
      etcdLease,
      modRevision,
    };
  }
  const { lease } = read;
  const { name, etcdLease, modRevision } = lease;
  const has = addressOf(lease, (address) => isHere(address, here));
  const had = addressOf(lease, ({ text }) => hadBy(own).includes(text));
  const anonymous = addressOf(lease, () => true) === undefined;
  const matches = saysTheSame(lease, here);
  if (etcdLease === own.etcdLease) {
    if (has !== undefined || had !== undefined || anonymous)
      return { kind: 'ours', matches, reservation: false, modRevision };
    // Every address of ours is on disk before it is in etcd: so this was written by a copy of our state.
    return { kind: 'foreign', name, owner: twinText(lease), etcdLease, modRevision };
  }
  if (etcdLease === '0' && (has !== undefined || (had !== undefined && own.held)))
    return { kind: 'ours', matches, reservation: true, modRevision };
  if (etcdLease === own.rival) {
    const owner = etcdLease === twin ? twinText(lease) : ownerText(lease);
    return { kind: 'foreign', name, owner, etcdLease, modRevision };
  }
  // Addresses move between hosts. One that our key never had proves nothing about a subnet that we did hold.
  if (has !== undefined && (!own.held || own.addresses.includes(has.text)))
    return { kind: 'adoptable', modRevision };
  const address = has ?? had;
  if (address !== undefined) return { kind: 'unclear', name, address: address.text, modRevision };
  return { kind: 'foreign', name, owner: ownerText(lease), etcdLease, modRevision };
}

/** Whether a subnet that we would choose is given up at once: an older key of another host has a half of it. */
export function isAnothers(
  name: string,
  leases: Leases,
  here: PublicAddresses,
  etcdLease = '',
): boolean {
  const own = { subnet: name, held: false, etcdLease, addresses: [], rival: undefined };
  return ownershipOf(leases, own, here, undefined).kind === 'foreign';
}

/** Whether a lease names one of the addresses. */
export function namesUs(lease: Lease, here: PublicAddresses): boolean {
  return addressOf(lease, (address) => isHere(address, here)) !== undefined;
}

/**
 * The subnet that the disk says we hold, where etcd says nothing against it; undefined without such a word, or where
 * another host is known to have the key.
 */
export function heldByDisk(
  own: OwnState | undefined,
  leases: Leases,
  all: PublicAddresses,
): HeldSubnet | undefined {
  if (own?.held !== true || own.rival !== undefined) return undefined;
  const { subnet, subnet6 } = subnetsOf(own.subnet);
  const here = { publicIp: subnet && all.publicIp, publicIp6: subnet6 && all.publicIp6 };
  const { kind } = ownershipOf(leases, own, here, undefined);
  if (kind === 'foreign' || kind === 'unclear') return undefined;
  return { name: own.subnet, subnet, subnet6, ...here, reservation: false };
}

const ADDRESSES_MAX = 16;

const isHere = (address: Address, here: PublicAddresses): boolean =>
  address.text === here.publicIp?.text || address.text === here.publicIp6?.text;

function saysTheSame(lease: Lease, here: PublicAddresses): boolean {
  return (
    lease.backendType === BACKEND_TYPE &&
    lease.publicIp?.text === here.publicIp?.text &&
    lease.publicIp6?.text === here.publicIp6?.text
  );
}

function ownerText({ publicIp, publicIp6 }: Lease): string {
  return publicIp?.text ?? publicIp6?.text ?? 'an owner without an address';
}

const twinText = (lease: Lease): string =>
  `${ownerText(lease)}, which uses a copy of this host's state`;

/** Equal states, equal text, whatever the order of their fields. */
export const stateText = (state: OwnState): string => {
  const { subnet, held, etcdLease, addresses, tried, triedAt, rival } = state;
  return JSON.stringify([subnet, held, etcdLease, addresses, tried, triedAt, rival]);
};

/** The state of a subnet that etcd shows as ours under these addresses, at this revision of our key. */
export function heldUnder(own: OwnState, here: PublicAddresses, revision: number): OwnState {
  const { tried = [], triedAt, ...rest } = own;
  const addresses = withLatest(own.addresses, here);
  // A put on a revision that our key has left can no longer be done.
  const over = triedAt !== undefined && revision > triedAt;
  const left = over ? [] : tried.filter((text) => !addresses.includes(text));
  const open = left.length > 0 && { tried: left, ...(triedAt !== undefined && { triedAt }) };
  return { ...rest, ...open, addresses, held: true, rival: undefined };
}

/** The state with the addresses that we are about to write on this condition, while our key has not had them. */
export function triedUnder(own: OwnState, here: PublicAddresses, on: Condition): OwnState {
  if (textsOf(here).every((text) => own.addresses.includes(text))) return own;
  const { tried = [], triedAt, ...rest } = own;
  const before = tried.length === 0 ? 0 : triedAt;
  const known = on.is === 'modRevision' && before !== undefined;
  const at = known && { triedAt: Math.max(before, on.revision) };
  return { ...rest, tried: withLatest(tried, here), ...at };
}

const textsOf = ({ publicIp, publicIp6 }: PublicAddresses): string[] =>
  [publicIp, publicIp6].flatMap((address) => (address ? [address.text] : []));

function withLatest(before: readonly string[], here: PublicAddresses): string[] {
  const now = textsOf(here);
  return [...before.filter((text) => !now.includes(text)), ...now].slice(-ADDRESSES_MAX);
}
