/**
 * A network that got a family, or lost one: no host's subnets fit it any more, but the half that it still contains goes
 * on. The new key takes the old one's place in one transaction, so that no host ever sees both, or neither.
 */
import type { NetworkConfig } from '../config/index.ts';
import { overlaps, type Prefix } from '../ip/index.ts';
import { type CandidateRequest, candidates, fits, partnerOf } from './allocator.ts';
import type { PublicAddresses, ReadLease, Subnets } from './codec.ts';
import { namesUs } from './ownership.ts';
import { subnetsOf } from './ownText.ts';
import type { Lease } from './types.ts';

/** A key of ours that another takes the place of. */
export interface Earlier {
  readonly name: string;
  readonly revision: number;
}

/** What we write under, and what we would write. */
interface Us {
  readonly etcdLease: string;
  readonly here: PublicAddresses;
}

type Leases = ReadonlyMap<string, ReadLease>;

/** Both, because a copy of this host's state knows its etcd lease too. */
const isOurs = (lease: Lease, { etcdLease, here }: Us): boolean =>
  lease.etcdLease === etcdLease && namesUs(lease, here);

const prefixesOf = ({ subnet, subnet6 }: Subnets): Prefix[] =>
  [subnet, subnet6].filter((prefix) => prefix !== undefined);

/** The part of `subnets` that the network contains, where that is not all that the network asks for. */
function halfOf(config: NetworkConfig, { subnet, subnet6 }: Subnets): Subnets | undefined {
  if (fits(config, { subnet, subnet6 })) return undefined;
  const four = { subnet, subnet6: undefined };
  const six = { subnet: undefined, subnet6 };
  if (subnet !== undefined && fits({ v4: config.v4, v6: undefined }, four)) return four;
  if (subnet6 !== undefined && fits({ v4: undefined, v6: config.v6 }, six)) return six;
  return undefined;
}

/** The name of the key of ours that has such a half. */
export function halfUnder(us: Us, leases: Leases, config: NetworkConfig): string | undefined {
  for (const [name, read] of leases)
    if (read.kind === 'lease' && isOurs(read.lease, us))
      if (halfOf(config, read.lease) !== undefined) return name;
  return undefined;
}

/** The half of `subnets`, with a free subnet of the other family beside it where the network asks for one. */
export function completed(subnets: Subnets, request: CandidateRequest): Subnets | undefined {
  const { config, taken } = request;
  const half = halfOf(config, subnets);
  if (half === undefined) return undefined;
  if (prefixesOf(half).some((own) => taken.some((prefix) => overlaps(own, prefix))))
    return undefined;
  const missing: NetworkConfig = {
    v4: half.subnet === undefined ? config.v4 : undefined,
    v6: half.subnet6 === undefined ? config.v6 : undefined,
  };
  if (missing.v4 === undefined && missing.v6 === undefined) return half;
  const previous = partnerOf(config, half);
  const rest = candidates({ ...request, config: missing, previous }).next().value;
  return rest && { subnet: half.subnet ?? rest.subnet, subnet6: half.subnet6 ?? rest.subnet6 };
}

/** Keys of ours that overlap the one that we are about to create: they go with the same transaction. */
export function earlierKeys(name: string, us: Us, leases: Leases): Earlier[] {
  const mine = prefixesOf(subnetsOf(name));
  const earlier: Earlier[] = [];
  for (const read of leases.values()) {
    if (read.kind !== 'lease' || !isOurs(read.lease, us)) continue;
    const { lease } = read;
    const same = prefixesOf(lease).some((prefix) => mine.some((own) => overlaps(own, prefix)));
    if (lease.name !== name && same)
      earlier.push({ name: lease.name, revision: lease.modRevision });
  }
  return earlier;
}
