/**
 * The neighbour side of the agent: says which gateways' entries the keeper should keep, which peers' gateways do not
 * answer, and what to set where the kernel's table is too small and entries cannot be kept.
 */
import { type Send, sentenceOf } from '../core/index.ts';
import { type Address, type Prefix, sameAddress } from '../ip/index.ts';
import {
  type KeeperInput,
  NeighbourKeeper,
  type NeighbourMode,
  type NeighbourNeed,
  type NeighbourReport,
  type NeighbourStatus,
  type Reachability,
  runKeeper,
} from '../route/index.ts';
import type { Crowd } from './crowd.ts';
import type { Health } from './health.ts';
import type { AgentPorts } from './ports.ts';

/** An operator who sets the limits waits no longer than this for the condition to go. */
const LIMITS_MS = 30_000;

export interface NeighbourSideOptions {
  readonly mode: NeighbourMode;
  readonly protocol: number;
  readonly device: number;
  readonly signal: AbortSignal;
  /** The gateway of a prefix is known not to answer, or that is over. */
  readonly onSilent: (prefix: string, silent: boolean) => void;
}

interface Gateway {
  readonly address: Address;
  /** Nearly always one. */
  prefixes: readonly string[];
  outcome: Reachability;
  /** That it does not answer has been said, and not yet that it does again. */
  saidDead: boolean;
}

interface Want {
  readonly address: Address;
  readonly wanted: boolean;
}

const newGateway = (address: Address): Gateway => ({
  address,
  prefixes: [],
  outcome: 'unknown',
  saidDead: false,
});

export class NeighbourSide {
  readonly #ports: AgentPorts;
  readonly #options: NeighbourSideOptions;
  readonly #health: Health;
  readonly #crowd: Crowd;
  readonly #send: Send<KeeperInput> | undefined;
  readonly #gateways = new Map<Address['value'], Gateway>();
  readonly #gatewayOf = new Map<string, Gateway>();
  #device: number;
  #kept = false;
  #followsLimits = false;

  constructor(ports: AgentPorts, options: NeighbourSideOptions, health: Health, crowd: Crowd) {
    this.#ports = ports;
    this.#options = options;
    this.#health = health;
    this.#crowd = crowd;
    this.#device = options.device;
    const { clock, driver, random } = ports;
    const { mode, protocol, signal } = options;
    if (driver.neighbours === undefined) return;
    this.#send = runKeeper({
      driver: driver.neighbours,
      core: new NeighbourKeeper({ mode, protocol, random }),
      clock,
      signal,
      onReport: (report) => this.#report(report),
    });
    void this.#readLimits();
  }

  /** The route of a prefix goes, or will go, through this gateway; undefined: it has no route any more. */
  routes(
    changes: readonly { readonly prefix: Prefix; readonly gateway: Address | undefined }[],
  ): void {
    // Told at once: after each of thousands the keeper would think about what it has to do now.
    const wants: Want[] = [];
    for (const { prefix, gateway } of changes) {
      const before = this.#gatewayOf.get(prefix.text);
      if (sameAddress(before?.address, gateway)) continue;
      if (before !== undefined) wants.push(...this.#leave(before, prefix.text));
      if (gateway !== undefined) wants.push(...this.#join(gateway, prefix.text));
    }
    this.#want(wants);
  }

  /** The gateways are behind another device now. */
  setDevice(device: number): void {
    if (device === this.#device) return;
    const all = (wanted: boolean): Want[] =>
      Array.from(this.#gateways.values(), ({ address }) => ({ address, wanted }));
    this.#want(all(false));
    this.#device = device;
    this.#want(all(true));
    for (const gateway of this.#gateways.values()) this.#learn(gateway, 'unknown');
  }

  /** Whether every route that there is has been told: then what is kept for no route may go. */
  complete(complete: boolean): void {
    this.#send?.({ type: 'complete', complete });
  }

  /** Links or addresses may have changed. */
  hint(): void {
    this.#send?.({ type: 'hint' });
  }

  #join(address: Address, prefix: string): Want[] {
    const known = this.#gateways.get(address.value);
    const gateway = known ?? newGateway(address);
    if (known === undefined) this.#gateways.set(address.value, gateway);
    gateway.prefixes = [...gateway.prefixes, prefix];
    this.#gatewayOf.set(prefix, gateway);
    if (gateway.outcome === 'failed') this.#options.onSilent(prefix, true);
    return known === undefined ? [{ address, wanted: true }] : [];
  }

  #leave(gateway: Gateway, prefix: string): Want[] {
    gateway.prefixes = gateway.prefixes.filter((other) => other !== prefix);
    this.#gatewayOf.delete(prefix);
    if (gateway.outcome === 'failed') this.#options.onSilent(prefix, false);
    if (gateway.prefixes.length > 0) return [];
    this.#gateways.delete(gateway.address.value);
    return [{ address: gateway.address, wanted: false }];
  }

  #want(wants: readonly Want[]): void {
    if (wants.length === 0) return;
    const device = this.#device;
    const changes = wants.map(({ address, wanted }) => ({
      neighbour: { address, device },
      wanted,
    }));
    this.#send?.({ type: 'wanted', changes });
  }

  #report(report: NeighbourReport): void {
    if (report.type === 'status') this.#tellStatus(report.status);
    else if (report.type === 'trouble') {
      const { reason } = report;
      const sentence = `neighbour entries cannot be kept: ${reason}`;
      if (reason === undefined) this.#health.clear(ENTRIES);
      else this.#health.set({ code: ENTRIES, sentence, blocking: false });
    } else {
      for (const { neighbour, outcome } of report.changes) {
        const gateway = this.#gateways.get(neighbour.address.value);
        if (gateway !== undefined && neighbour.device === this.#device)
          this.#learn(gateway, outcome);
      }
    }
  }

  #learn(gateway: Gateway, outcome: Reachability): void {
    const { address, prefixes } = gateway;
    const silent = outcome === 'failed';
    const news = silent !== (gateway.outcome === 'failed');
    gateway.outcome = outcome;
    if (news) for (const prefix of prefixes) this.#options.onSilent(prefix, silent);
    const who = `neighbour ${address.text}`;
    if (outcome === 'failed' && !gateway.saidDead) {
      gateway.saidDead = true;
      const what = `${who} does not answer on the link: ${prefixes.join(', ')} has a route, but nobody is there`;
      this.#crowd.say('warn', what, 'neighbours do not answer');
    } else if (outcome === 'reachable' && gateway.saidDead) {
      gateway.saidDead = false;
      this.#crowd.say('info', `${who} answers again`, 'neighbours answer again');
    }
  }

  #tellStatus(status: NeighbourStatus): void {
    const kept = status.kind === 'kept';
    if (kept && !this.#kept) {
      this.#ports.log.info(
        'neighbour entries of all gateways are kept, beyond the limit of the kernel (--neighbours)',
      );
    } else if (!kept && this.#kept) this.#ports.log.info('neighbour entries are kept no longer');
    this.#kept = kept;
    const sentence = sentenceFor(status);
    if (sentence === undefined) this.#health.clear(TABLE);
    else this.#health.set({ code: TABLE, sentence, blocking: false });
    if (status.kind === 'idle' || this.#followsLimits) return;
    this.#followsLimits = true;
    this.#readLater();
  }

  #readLater(): void {
    const { clock } = this.#ports;
    const { signal } = this.#options;
    const cancel = clock.at(clock.now() + LIMITS_MS, () => {
      signal.removeEventListener('abort', cancel);
      void this.#readLimits().then(() => this.#readLater());
    });
    signal.addEventListener('abort', cancel, { once: true });
    if (signal.aborted) cancel();
  }

  async #readLimits(): Promise<void> {
    try {
      const limits = await this.#ports.host.neighbourLimits();
      this.#send?.({ type: 'limits', limits });
    } catch (error) {
      this.#ports.log.debug(
        `the limits of the neighbour table stay as known: ${sentenceOf(error)}`,
      );
    }
  }
}

/** The conditions of a table that is too small, and of entries that the kernel refuses. */
const TABLE = 'neighbours';
const ENTRIES = 'neighbour-entries';

function sentenceFor(status: NeighbourStatus): string | undefined {
  if (status.kind === 'off') {
    return `${crowded(status.need)} (--neighbours=off): ${advice(status.need)}, or allow --neighbours=auto`;
  }
  if (status.kind !== 'unsupported') return undefined;
  const { need, reason } = status;
  if (need === undefined) return `neighbour entries cannot be kept (--neighbours=on): ${reason}`;
  return `${crowded(need)}, and their entries cannot be kept beyond it (${reason}): ${advice(need)}`;
}

const crowded = ({ family, limit }: NeighbourNeed): string =>
  `the peers are too many for this machine's IPv${family} neighbour table of ${limit}, so that some may never be reached`;

function advice({ family, room }: NeighbourNeed): string {
  const set = (number: number, value: number) =>
    `net.ipv${family}.neigh.default.gc_thresh${number}=${value}`;
  return `run sysctl -w ${set(1, room)} ${set(2, room * 1.5)} ${set(3, room * 2)} on the machine itself, outside containers`;
}
