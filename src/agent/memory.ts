/** What this host knows of itself at the start of an agent: its state and the last view on disk, the subnet file, its identity. */
import type { AgentOptions } from '../config/index.ts';
import { type Log, sentenceOf } from '../core/index.ts';
import type { PreviousSubnets } from '../host/index.ts';
import {
  type DiskView,
  type LoadedState,
  type LoadedView,
  namesUs,
  type OwnState,
  type PublicAddresses,
  type ReadLease,
} from '../lease/index.ts';
import { HostUnusable } from './hostUnusable.ts';
import type { HostPort } from './ports.ts';

export interface Memory {
  readonly state: OwnState | undefined;
  readonly disk: DiskView | undefined;
  /** Name of our own key, also where only the view still has it. */
  readonly ours: string | undefined;
  readonly previous: PreviousSubnets;
  readonly identity: string;
}

/** Rejects with HostUnusable if the state cannot be read: it may name our subnet. */
export async function recall(
  host: HostPort,
  log: Log,
  { stateDir }: AgentOptions,
): Promise<Memory> {
  const [state, view, previous, identity] = await Promise.all([
    host.loadState().catch((error: unknown) => {
      throw new HostUnusable(`the state in ${stateDir} cannot be read: ${sentenceOf(error)}`);
    }),
    // The view only spares time: what is wrong with it is said, and it is done without.
    host.loadView().catch((error: unknown): LoadedView => {
      log.warn(`the view in ${stateDir} cannot be read: ${sentenceOf(error)}`);
      return { kind: 'none' };
    }),
    host.previousSubnets(),
    host.identity(),
  ]);
  tellDamage(log, state);
  tellDamage(log, view);
  const disk = view.kind === 'view' ? view.view : undefined;
  return {
    state: state.kind === 'state' ? state.state : undefined,
    disk,
    ours: oursOf(state, disk),
    previous,
    identity,
  };
}

/** Of a copied disk the view is another machine's too: what that one holds is a peer's. */
function oursOf(state: LoadedState, disk: DiskView | undefined): string | undefined {
  if (state.kind === 'state') return state.state.subnet;
  return state.kind === 'copied' ? undefined : disk?.own;
}

/**
 * Whether this host had a subnet of which etcd knows nothing, and no view on disk could tell why: it may have been wiped.
 * `leases`: its first word, `here`: this host's addresses. A host that never had one has nothing to doubt etcd by.
 */
export function isForgotten(
  { disk, ours, previous }: Pick<Memory, 'disk' | 'ours' | 'previous'>,
  leases: ReadonlyMap<string, ReadLease>,
  here: PublicAddresses,
): boolean {
  if (disk !== undefined) return false;
  if (ours !== undefined) return !leases.has(ours);
  if (previous.subnet === undefined && previous.subnet6 === undefined) return false;
  return ![...leases.values()].some((read) => read.kind === 'lease' && namesUs(read.lease, here));
}

function tellDamage(log: Log, loaded: LoadedState | LoadedView): void {
  if (loaded.kind === 'copied')
    log.warn(`${loaded.reason}: this host looks for its subnet by its address, else takes another`);
  if (loaded.kind !== 'damaged') return;
  const { reason, movedTo } = loaded;
  log.warn(
    `${reason}: ${movedTo === undefined ? 'it stays where it is' : `set aside as ${movedTo}`}`,
  );
}
