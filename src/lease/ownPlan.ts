/**
 * What to do next about our own subnet, given all that is known: a pure function, asked again after each input.
 * It never looks at what happened before; so a lost answer, a late view or a restart leads back to the same path.
 */
import type { NetworkConfig } from '../config/index.ts';
import { overlaps, type Prefix } from '../ip/index.ts';
import { candidates, fits } from './allocator.ts';
import { type PublicAddresses, type ReadLease, type Subnets, subnetName } from './codec.ts';
import type { DepartedSubnets } from './departed.ts';
import { isAnothers, namesUs, type Ownership, ownershipOf } from './ownership.ts';
import { completed, type Earlier, earlierKeys, halfUnder } from './ownHalf.ts';
import { configText, fullText, pickingText, rangeText, subnetsOf, subnetsText } from './ownText.ts';
import type { Condition, ConfigState, LostSubnet, OwnStatus } from './ownTypes.ts';
import type { OwnState } from './state.ts';

export interface Facts {
  readonly config: ConfigState;
  /** All leases, the newest that is known of each; undefined before the first complete view. */
  readonly leases: ReadonlyMap<string, ReadLease> | undefined;
  /** Subnets whose keys went, with the addresses that they named. */
  readonly departed: DepartedSubnets;
  readonly here: PublicAddresses;
  /** What no subnet of ours may overlap, besides other leases: this host's own networks. */
  readonly unusable: readonly Prefix[];
  /** The subnet that we hold, or are about to ask for. */
  readonly own: OwnState | undefined;
  /** The etcd lease that we write under, once one was chosen. */
  readonly leaseId: string | undefined;
  /** The etcd lease that was ours until another host, with a copy of our state, wrote under it. */
  readonly twin: string | undefined;
  /** We have said in this run that `own` is ours. */
  readonly announced: boolean;
  /** What to do when another host proves to own our subnet. */
  readonly lost: LostSubnet;
  /** Named in sentences. */
  readonly configKey: string;
  readonly subnetsPrefix: string;
  readonly previous: Subnets | undefined;
  readonly seed: string;
}

interface Said {
  readonly status: OwnStatus;
  readonly sentence: string;
}

export type Plan =
  /** Nothing to write; undefined: nothing new to say either. */
  | { readonly kind: 'wait'; readonly say: Said | undefined }
  /** Another host has our subnet, under its etcd lease `rival`. */
  | {
      readonly kind: 'yield';
      readonly say: Said;
      readonly why: string;
      readonly rival: string;
    }
  | { readonly kind: 'choose'; readonly name: string; readonly say: Said }
  /**
   * `own` does not fit the config or is another's (`newLease`: nothing of it is to live on), or another host was
   * faster: plan again without it.
   */
  | { readonly kind: 'forget'; readonly newLease: boolean; readonly say: Said | undefined }
  | {
      readonly kind: 'put';
      readonly condition: Condition;
      readonly lease: string;
      readonly here: PublicAddresses;
      readonly say: Said | undefined;
      /** Another writer has our address: answer it slowly. */
      readonly contested: boolean;
      /** Keys of ours that it takes the place of; default: none. */
      readonly earlier?: readonly Earlier[];
    }
  /** Our key says what we would write, at this revision. */
  | {
      readonly kind: 'hold';
      readonly reservation: boolean;
      readonly here: PublicAddresses;
      readonly revision: number;
    };

export type PutPlan = Extract<Plan, { kind: 'put' }>;

export function planNext(facts: Facts): Plan {
  const { config, leases, own, announced } = facts;
  const wait = (status: OwnStatus, sentence: string): Plan => ({
    kind: 'wait',
    say: { status, sentence },
  });
  if (config.kind !== 'valid') {
    const sentence = configText(config, facts.configKey);
    if (own === undefined || !announced) return wait('waiting', sentence);
    return planHeld(facts, own, `holding subnet ${subnetsText(own.subnet)}, ${sentence}`);
  }
  if (leases === undefined)
    return announced
      ? { kind: 'wait', say: undefined }
      : wait('waiting', `waiting for the leases in etcd under ${facts.subnetsPrefix}`);
  const here = hereFor(config.config, facts.here);
  if (here === undefined) {
    const sentence = 'waiting for an address of this host in each family of the network config';
    return own && announced ? planHeld(facts, own, sentence) : wait('waiting', sentence);
  }
  if (own === undefined) return choose(facts, config.config, leases, here);
  if (!fits(config.config, subnetsOf(own.subnet))) {
    // Given up only at a start, and with it the etcd lease: the old key ends by itself, unless a half of it goes on.
    const kept = halfUnder({ ...own, here }, leases, config.config);
    if (!announced) return { kind: 'forget', newLease: kept === undefined, say: undefined };
    return planHeld(
      facts,
      own,
      `holding subnet ${subnetsText(own.subnet)}, which the network config no longer contains: a restart would ${kept === undefined ? 'pick a new subnet from' : 'keep the half that still fits, in'} ${rangeText(config.config)}`,
    );
  }
  const owner = ownershipOf(leases, own, here, facts.twin);
  const plan = planOwned(own, owner, here, announced);
  if (plan.kind === 'put' && owner.kind === 'absent')
    return { ...plan, earlier: earlierKeys(own.subnet, { ...own, here }, leases) };
  // Our key is there, and too late: with its etcd lease it goes by itself.
  const late = owner.kind === 'foreign' && owner.name !== own.subnet && leases.has(own.subnet);
  if (plan.kind === 'forget' && late) return { ...plan, newLease: true };
  return plan.kind === 'yield' && facts.lost === 'replace' ? replaced(plan, own) : plan;
}

/** Not under a config that does not count: from that one no subnet is taken. */
function replaced(plan: Extract<Plan, { kind: 'yield' }>, own: OwnState): Plan {
  const sentence = `${plan.why}: this host takes another one in its place (--lost-subnet=replace); containers keep addresses of ${subnetsText(own.subnet)} until Docker is restarted`;
  return { kind: 'forget', newLease: true, say: { status: 'superseded', sentence } };
}

/**
 * A held subnet under a config that does not contain it, or without an address: whose its key is counts all the same, and
 * ours is kept right; else only `sentence` is said. A key that is gone is not asked for: etcd may have been wiped, and a
 * config that contains it comes first. Nor is anything written without a config, or without an address in each family.
 */
function planHeld(facts: Facts, own: OwnState, sentence: string): Plan {
  const { config, leases, here: all, twin } = facts;
  const wait = (status: OwnStatus, what: string): Plan => ({
    kind: 'wait',
    say: { status, sentence: what },
  });
  const plan = wait('held', sentence);
  const { subnet, subnet6 } = subnetsOf(own.subnet);
  const here = { publicIp: subnet && all.publicIp, publicIp6: subnet6 && all.publicIp6 };
  if (leases === undefined) return plan;
  const owner = ownershipOf(leases, own, here, twin);
  const defence = planOwned(own, owner, here, true);
  if (defence.kind === 'hold') return plan;
  const named = (!subnet || here.publicIp) && (!subnet6 || here.publicIp6);
  const mayWrite = config.kind !== 'missing' && owner.kind !== 'absent' && named !== undefined;
  if (defence.kind !== 'put' || mayWrite) return defence;
  if (owner.kind === 'adoptable')
    return wait('contested', `another writer with our address has key ${own.subnet}; ${sentence}`);
  if (own.rival === undefined) return plan;
  return wait('superseded', `${subnetsText(own.subnet)} was last another host's; ${sentence}`);
}

function planOwned(
  own: OwnState,
  owner: Ownership,
  here: PublicAddresses,
  announced: boolean,
): Plan {
  const subnet = subnetsText(own.subnet);
  const put = (condition: Condition, lease: string, say?: Said, contested = false): Plan => ({
    kind: 'put',
    condition,
    lease,
    here,
    say,
    contested,
  });
  const doubt = (sentence: string): Said => ({ status: 'contested', sentence });
  if (owner.kind === 'absent') {
    const say: Said = own.held
      ? {
          status: 'recreating',
          sentence: `subnet ${subnet} is ours but not in etcd: asking for it`,
        }
      : { status: 'creating', sentence: `asking etcd for subnet ${subnet}` };
    return put({ is: 'absent' }, own.etcdLease, say);
  }
  const unchanged: Condition = { is: 'modRevision', revision: owner.modRevision };
  switch (owner.kind) {
    case 'ours':
      if (owner.matches)
        return { kind: 'hold', reservation: owner.reservation, here, revision: owner.modRevision };
      return put(unchanged, owner.reservation ? '0' : own.etcdLease);
    case 'adoptable': {
      if (!announced) return put(unchanged, own.etcdLease);
      const sentence = `another writer with our address has written key ${own.subnet} (revision ${owner.modRevision}): taking it back`;
      return put(unchanged, own.etcdLease, doubt(sentence), true);
    }
    case 'unclear': {
      const sentence = `key ${owner.name} has ${owner.address}, an address that this host has or had, under an etcd lease that is not ours: nothing is written until it goes`;
      return { kind: 'wait', say: doubt(sentence) };
    }
    case 'foreign': {
      if (!own.held) return { kind: 'forget', newLease: false, say: undefined };
      const why = `subnet ${subnet} belongs to ${owner.owner} in etcd (key ${owner.name}, revision ${owner.modRevision})`;
      const sentence = `${why}: this host stops writing to it, and takes it again when that key goes`;
      const say: Said = { status: 'superseded', sentence };
      return { kind: 'yield', say, why, rival: owner.etcdLease };
    }
  }
}

/** By address, else the previous subnet, else the first free one in our own order; what others held once last. */
function choose(
  { previous, seed, unusable, departed: gone, leaseId }: Facts,
  config: NetworkConfig,
  leases: ReadonlyMap<string, ReadLease>,
  here: PublicAddresses,
): Plan {
  const near = withinNetwork(unusable, config);
  const taken = [...near, ...takenBy(leases, config)];
  const departed = withinNetwork([...gone.keys()].flatMap(prefixesOf), config);
  const request = { config, taken, departed, previous, seed };
  const half =
    leaseId === undefined ? undefined : halfUnder({ etcdLease: leaseId, here }, leases, config);
  const others = half === undefined ? leases : new Map([...leases].filter(([at]) => at !== half));
  const kept = half === undefined ? previous : subnetsOf(half);
  const found =
    findByAddress(leases, config, here, previous, near, leaseId) ??
    (kept && completed(kept, { ...request, taken: [...near, ...takenBy(others, config)] })) ??
    candidates(request).next().value;
  if (found === undefined)
    return { kind: 'wait', say: { status: 'full', sentence: fullText(config) } };
  const name = subnetName(found);
  const sentence = pickingText(
    config,
    gone.has(name) ? { name, holder: gone.get(name) } : undefined,
  );
  return { kind: 'choose', name, say: { status: 'choosing', sentence } };
}

function prefixesOf(name: string): Prefix[] {
  const { subnet, subnet6 } = subnetsOf(name);
  return [subnet, subnet6].filter((prefix) => prefix !== undefined);
}

/** Our addresses in the config's families, as the lease names them; undefined if one is missing. */
function hereFor(config: NetworkConfig, here: PublicAddresses): PublicAddresses | undefined {
  const publicIp = config.v4 && here.publicIp;
  const publicIp6 = config.v6 && here.publicIp6;
  const missing =
    (config.v4 !== undefined && publicIp === undefined) ||
    (config.v6 !== undefined && publicIp6 === undefined);
  return missing ? undefined : { publicIp, publicIp6 };
}

/** A subnet that etcd already has under our address: the previous one if it is among them, else the oldest. */
function findByAddress(
  leases: ReadonlyMap<string, ReadLease>,
  config: NetworkConfig,
  here: PublicAddresses,
  previous: Subnets | undefined,
  near: readonly Prefix[],
  leaseId: string | undefined,
): Subnets | undefined {
  const wish = previous === undefined ? undefined : subnetName(previous);
  let best: { readonly lease: Subnets; readonly rank: number } | undefined;
  for (const read of leases.values()) {
    if (read.kind !== 'lease' || !namesUs(read.lease, here)) continue;
    if (!fits(config, read.lease)) continue;
    const { subnet, subnet6 } = read.lease;
    const both = [subnet, subnet6].filter((prefix) => prefix !== undefined);
    if (both.some((one) => near.some((prefix) => overlaps(prefix, one)))) continue;
    if (isAnothers(read.lease.name, leases, here, leaseId)) continue;
    const rank = read.lease.name === wish ? -1 : read.lease.createRevision;
    if (best === undefined || rank < best.rank) best = { lease: read.lease, rank };
  }
  return best && { subnet: best.lease.subnet, subnet6: best.lease.subnet6 };
}

/** What no new subnet may overlap: every key's prefixes, also of keys that are malformed or refused. */
function takenBy(leases: ReadonlyMap<string, ReadLease>, config: NetworkConfig): Prefix[] {
  const taken: Prefix[] = [];
  for (const read of leases.values()) {
    const { subnet, subnet6 } = read.kind === 'lease' ? read.lease : read;
    if (subnet !== undefined) taken.push(subnet);
    if (subnet6 !== undefined) taken.push(subnet6);
  }
  return withinNetwork(taken, config);
}

/**
 * Without those that hold all of Network: such a key is no subnet of it, and one bad key must not lock out every new
 * host; and a LAN around Network is legal.
 */
function withinNetwork(prefixes: readonly Prefix[], { v4, v6 }: NetworkConfig): Prefix[] {
  return prefixes.filter(({ address, length }) => {
    const network = address.family === 4 ? v4?.network : v6?.network;
    return length > (network?.length ?? 0);
  });
}
