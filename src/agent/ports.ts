/** Everything the agent is given rather than takes: time, chance, log, etcd, kernel and this machine. */
import type { Clock, Log, Random } from '../core/index.ts';
import type { Etcd } from '../etcd/index.ts';
import type {
  ForwardingOutcome,
  ForwardStatus,
  ForwardWanted,
  HostFacts,
  NeighbourLimits,
  Notifier,
  PreviousSubnets,
  SubnetFile,
  UplinkChoice,
} from '../host/index.ts';
import type { Family } from '../ip/index.ts';
import type { DiskView, LoadedState, LoadedView, OwnState, OwnStatus } from '../lease/index.ts';
import type { RouteDriver, RouteReport } from '../route/index.ts';

/** This machine, as far as the agent reads or changes it besides routes. Every call may reject with one sentence. */
export interface HostPort {
  /** What tells this host from all others, whatever its address. */
  identity(): Promise<string>;
  facts(signal: AbortSignal): Promise<HostFacts>;
  /**
   * The way to the other hosts. `current`: the one that is in use. Unless the user named an interface it is stayed
   * with while it exists: a default route that moves (a VPN comes up) says nothing about the way to the peers.
   * `families`: those of the network config, in which it needs an address; undefined: not known yet.
   */
  uplink(
    facts: HostFacts,
    current: Extract<UplinkChoice, { kind: 'uplink' }> | undefined,
    families: readonly Family[] | undefined,
  ): Promise<UplinkChoice>;
  /** How many ordinary neighbour entries this machine holds. */
  neighbourLimits(): Promise<NeighbourLimits>;
  ensureForwarding(uplink: string, families: readonly Family[]): Promise<ForwardingOutcome>;
  previousSubnets(): Promise<PreviousSubnets>;
  /** Resolves to whether anything was written. */
  writeSubnetFile(file: SubnetFile): Promise<boolean>;
  loadState(): Promise<LoadedState>;
  saveState(state: OwnState): Promise<void>;
  loadView(): Promise<LoadedView>;
  saveView(view: DiskView): Promise<void>;
  /** Undefined: the user keeps the firewall. */
  readonly forwardRules:
    | {
        ensure(wanted: ForwardWanted, signal: AbortSignal): Promise<ForwardStatus>;
        watch(onStatus: (status: ForwardStatus) => void, signal: AbortSignal): void;
      }
    | undefined;
  readonly notifier: Notifier;
  /** The table of our routes; undefined: main. */
  readonly table?: number;
}

export interface AgentPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly etcd: Etcd;
  readonly driver: RouteDriver;
  readonly host: HostPort;
  /** A random etcd lease id, decimal, 1 to 2^63-1. */
  readonly newLeaseId: () => string;
  /** Hears what the sides say, before anybody else. */
  readonly watcher?: {
    own(status: OwnStatus, sentence: string): void;
    report(report: RouteReport): void;
  };
}
