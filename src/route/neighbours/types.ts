/**
 * Neighbour entries (who has which address on the link), and the interface by which a driver reads and writes them.
 * Constants are the kernel's (include/uapi/linux/neighbour.h).
 */
import type { Address } from '../../ip/index.ts';
import type { ApplyResult } from '../types.ts';

/** NUD_*: the states of an entry, one bit each. 0 is NUD_NONE. */
export const NUD = {
  none: 0,
  incomplete: 1,
  reachable: 2,
  stale: 4,
  delay: 8,
  probe: 16,
  failed: 32,
  noarp: 64,
  permanent: 128,
} as const;

/** Somebody on the link: an address behind a device (interface index). */
export interface Neighbour {
  readonly address: Address;
  readonly device: number;
}

/** An entry as a dump shows it, of whatever owner. */
export interface KernelNeighbour extends Neighbour {
  /** One of NUD. */
  readonly state: number;
  /** 0 where nobody gave one: the kernel's own, and what `ip neigh add` writes. */
  readonly protocol: number;
  /** NTF_EXT_LEARNED: not counted by gc_thresh3, not collected. */
  readonly learned: boolean;
  /** NTF_EXT_MANAGED (Linux 5.16): the kernel keeps it resolved. Older kernels drop the flag in silence. */
  readonly managed: boolean;
}

/**
 * add: CREATE|EXCL, learned and managed: EEXIST if there is an entry, whoever made it.
 * adopt: makes an entry that is there learned, managed and ours, and keeps what is known of it; ENOENT if there is none.
 * delete: by address and device alone: the kernel looks at nothing else, so only after a look at whose entry it is.
 */
export interface NeighbourOp {
  readonly kind: 'add' | 'adopt' | 'delete';
  readonly neighbour: Neighbour;
  /** 5 to 255, as of our routes. Ignored by the kernel in a delete. */
  readonly protocol: number;
}

/** Which entries a dump shows: every one of `devices`, and those of `protocol` wherever they are. */
export interface NeighbourFilter {
  readonly protocol: number;
  readonly devices: readonly number[];
}

export interface NeighbourView {
  /** Those of the filter's devices that are there, up, and have a carrier. */
  readonly live: readonly number[];
  /** The very array of an earlier dump only if nothing in it has changed since. */
  readonly neighbours: readonly KernelNeighbour[];
}

export interface NeighbourDriver {
  /** Rejects with RouteDriverError if the dump is not complete. */
  dump(filter: NeighbourFilter): Promise<NeighbourView>;
  /** As RouteDriver.apply, and never at the same time as one: a driver has one call in flight. */
  apply(ops: readonly NeighbourOp[]): Promise<ApplyResult>;
}

/** Equal text, equal neighbour. */
export const neighbourText = ({ address, device }: Neighbour): string =>
  `${address.text} dev ${device}`;

/** Throws RangeError for the first operation that cannot be encoded; it names the index, the value and the rule. */
export function checkNeighbourOps(ops: readonly NeighbourOp[]): void {
  ops.forEach(({ neighbour, protocol }, index) => {
    const within = (name: string, value: number, min: number, max: number): void => {
      if (Number.isInteger(value) && value >= min && value <= max) return;
      throw new RangeError(`operation ${index}: ${name} ${value} is not within ${min} to ${max}`);
    };
    within('protocol', protocol, 1, 255);
    within('device', neighbour.device, 1, 2147483647);
  });
}
