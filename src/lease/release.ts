/**
 * Leaving for good: whether the key that our state names may be deleted. Only ours is, on the revision that was read;
 * a reservation is the operator's, and a key of another host is no business of ours.
 */
import { parseAddress } from '../ip/index.ts';
import { type PublicAddresses, readLease } from './codec.ts';
import type { StoredKey } from './keys.ts';
import { ownershipOfKey } from './ownership.ts';
import type { OwnState } from './state.ts';

export type ReleasePlan =
  | { readonly kind: 'gone' }
  | { readonly kind: 'delete'; readonly revision: number; readonly lease: string }
  | { readonly kind: 'reservation' }
  | { readonly kind: 'foreign'; readonly owner: string; readonly revision: number };

/** `entry`: the key that `state` names, as etcd has it now. */
export function planRelease(state: OwnState, entry: StoredKey | undefined): ReleasePlan {
  const read = entry && readLease(state.subnet, entry);
  const owner = ownershipOfKey(read, state, latest(state), undefined);
  switch (owner.kind) {
    case 'absent':
      return { kind: 'gone' };
    case 'ours':
      if (owner.reservation) return { kind: 'reservation' };
      return { kind: 'delete', revision: owner.modRevision, lease: entry?.lease ?? '0' };
    case 'adoptable': {
      // Flannel's, where the host went back to it: then it is in use.
      const whose = `this host's address under etcd lease ${entry?.lease}, which hostgw did not choose (flanneld's? stop it, then etcdctl del the key)`;
      return { kind: 'foreign', owner: whose, revision: owner.modRevision };
    }
    case 'unclear': {
      const whose = `${owner.address}, under an etcd lease that is not this host's`;
      return { kind: 'foreign', owner: whose, revision: owner.modRevision };
    }
    case 'foreign':
      return { kind: 'foreign', owner: owner.owner, revision: owner.modRevision };
  }
}

/** The address in each family that this host wrote last. */
function latest({ addresses }: OwnState): PublicAddresses {
  const all = addresses.flatMap((text) => parseAddress(text) ?? []);
  return {
    publicIp: all.findLast(({ family }) => family === 4),
    publicIp6: all.findLast(({ family }) => family === 6),
  };
}
