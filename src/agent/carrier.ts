/**
 * What the host needs to carry the subnet: firewall rules, forwarding, the subnet file. Each is put right where it
 * is not, and a failure is a condition until it is.
 */

import type { NetworkConfig } from '../config/index.ts';
import { sentenceOf } from '../core/index.ts';
import type { ForwardStatus, SubnetFile } from '../host/index.ts';
import type { Address, Family, Prefix } from '../ip/index.ts';
import type { HeldSubnet } from '../lease/index.ts';
import type { Health } from './health.ts';
import type { AgentPorts } from './ports.ts';
import { pause, type Uplink } from './uplink.ts';

/** The firewall's programs cost more than all else together: routes come first, and a burst of peers is one change. */
const FIREWALL_DELAY_MS = 200;
/** Between two changes of the gateways alone: a fleet that starts host by host must not cost a processor for its time. */
const GATEWAYS_PAUSE_MS = 1_000;

export interface CarrierOptions {
  readonly ipMasq: boolean;
  readonly subnetFile: string;
  readonly signal: AbortSignal;
  readonly uplink: () => Uplink;
}

export class Carrier {
  readonly #ports: AgentPorts;
  readonly #options: CarrierOptions;
  readonly #health: Health;
  #gateways: ReadonlyMap<string, Address> = new Map();
  #held: { readonly lease: HeldSubnet; readonly carried: Carried } | undefined;
  /** Settles when the change of the firewall that waits has been made. */
  #firewallDue: Promise<void> | undefined;
  /** What the last change of the firewall that is over was for, as text. */
  #guarded: string | undefined;
  /** The change that is being made. */
  #guarding: { readonly wanted: string; readonly over: Promise<void> } | undefined;
  #watching = false;
  /** Monotonic ms at which the last change was made. */
  #firewallAt = Number.NEGATIVE_INFINITY;
  /** Settles when changed gateways may have their turn. */
  #gatewaysDue: Promise<void> | undefined;
  /** Others may be told of the subnet. */
  #told = false;

  constructor(ports: AgentPorts, options: CarrierOptions, health: Health) {
    this.#ports = ports;
    this.#options = options;
    this.#health = health;
  }

  /** This host's subnets, once they are held. */
  get subnets(): readonly Prefix[] {
    const { subnet, subnet6 } = this.#held?.lease ?? {};
    return [subnet, subnet6].filter((prefix) => prefix !== undefined);
  }

  /**
   * Where believed leases route to, by prefix: their masquerading containers pass the firewall too. A list of them all for
   * each of thousands of changes would cost more than the changes.
   */
  setGateways(gateways: ReadonlyMap<string, Address>): void {
    this.#gateways = gateways;
    const { clock } = this.#ports;
    const wait = this.#firewallAt + GATEWAYS_PAUSE_MS - clock.now();
    if (wait <= 0) void this.#firewallSoon();
    else
      this.#gatewaysDue ??= pause(this.#ports, wait, this.#options.signal).then(() => {
        this.#gatewaysDue = undefined;
        void this.#firewallSoon();
      });
  }

  /** Has the firewall let the subnet through already: it is expected to be held, and nobody is told yet. */
  prepare(lease: HeldSubnet, config: NetworkConfig): void {
    this.#held = { lease, carried: carriedBy(lease, config) };
    void this.#firewallSoon();
  }

  /** What was prepared is not held after all. The firewall's rules stay as they are: they let in nobody but peers. */
  forget(): void {
    if (!this.#told) this.#held = undefined;
  }

  /** Makes the host carry the subnet. Resolves when all was tried. */
  async hold(lease: HeldSubnet, config: NetworkConfig): Promise<void> {
    this.#held = { lease, carried: carriedBy(lease, config) };
    this.#told = true;
    await this.#guard();
    await this.again();
  }

  /**
   * The guard before the way that it guards, and both before the file: whoever starts Docker by that finds the way in
   * open to peers and shut to others. Resolves when a change of the firewall for what is held is over.
   */
  async #guard(): Promise<void> {
    const { signal } = this.#options;
    while (this.#guarded !== this.#wanted && !signal.aborted) {
      const under = this.#guarding?.wanted === this.#wanted ? this.#guarding : undefined;
      await (under?.over ?? this.#firewallSoon());
    }
  }

  /** What the firewall is to be made for, gateways apart. */
  get #wanted(): string | undefined {
    return this.#held && `${this.#options.uplink().name} ${textOf(this.#held.carried)}`;
  }

  /** The uplink is another one, or has another name. */
  async moved(): Promise<void> {
    await this.#firewallSoon();
    await this.again();
  }

  /** Looks at what the firewall's own watch does not: puts back what somebody else turned off or deleted. */
  async again(): Promise<void> {
    if (!this.#told || this.#options.signal.aborted) return;
    // Before that, whoever waits for the guard does it.
    if (this.#guarded !== this.#wanted) return;
    await this.#ensureForwarding();
    await this.#writeSubnetFile();
  }

  async #ensureForwarding(): Promise<void> {
    const outcome = await this.#ports.host
      .ensureForwarding(this.#options.uplink().name, this.#families)
      .catch((error: unknown) => ({ kind: 'failed', reason: sentenceOf(error) }) as const);
    if (outcome.kind === 'failed')
      return this.#health.set({ code: 'forwarding', sentence: outcome.reason, blocking: true });
    this.#health.clear('forwarding');
    for (const change of outcome.changes) this.#ports.log.info(change);
  }

  get #families(): readonly Family[] {
    return this.subnets.map(({ address }) => address.family);
  }

  #firewallSoon(): Promise<void> {
    const { signal } = this.#options;
    this.#firewallDue ??= pause(this.#ports, FIREWALL_DELAY_MS, signal).then(() => {
      this.#firewallDue = undefined;
      const wanted = this.#wanted;
      if (wanted === undefined || signal.aborted) return;
      const over = this.#ensureFirewall().then(() => {
        this.#guarded = wanted;
        if (this.#guarding?.over === over) this.#guarding = undefined;
      });
      this.#guarding = { wanted, over };
      return over;
    });
    return this.#firewallDue;
  }

  async #ensureFirewall(): Promise<void> {
    const { forwardRules } = this.#ports.host;
    const held = this.#held;
    const { signal, uplink } = this.#options;
    if (held === undefined || forwardRules === undefined) return;
    const wanted = {
      uplink: uplink().name,
      ...held.carried,
      gateways: [...this.#gateways.values()],
    };
    try {
      this.#tellFirewall(await forwardRules.ensure(wanted, signal));
    } catch (error) {
      if (!signal.aborted) this.#tellFirewall({ kind: 'failed', reason: sentenceOf(error) });
    }
    this.#firewallAt = this.#ports.clock.now();
    if (this.#watching || signal.aborted) return;
    this.#watching = true;
    forwardRules.watch((status) => this.#tellFirewall(status), signal);
  }

  #tellFirewall(status: ForwardStatus): void {
    if (status.kind === 'open') return this.#health.clear('firewall');
    const blocking = status.kind === 'failed';
    this.#health.set({ code: 'firewall', sentence: status.reason, blocking });
  }

  async #writeSubnetFile(): Promise<void> {
    const held = this.#held;
    if (held === undefined) return;
    const { ipMasq, subnetFile, uplink } = this.#options;
    try {
      const { mtu } = uplink();
      const written = await this.#ports.host.writeSubnetFile({ ...held.carried, mtu, ipMasq });
      this.#health.clear('subnet-file');
      if (written) this.#ports.log.info(`wrote ${subnetFile}`);
    } catch (error) {
      this.#health.set({ code: 'subnet-file', sentence: sentenceOf(error), blocking: true });
    }
  }
}

type Carried = Pick<SubnetFile, 'v4' | 'v6'>;

const textOf = ({ v4, v6 }: Carried): string =>
  [v4, v6].map((one) => `${one?.network.text} ${one?.subnet.text}`).join();

function carriedBy({ subnet, subnet6 }: HeldSubnet, { v4, v6 }: NetworkConfig): Carried {
  return {
    v4: v4 && subnet && { network: v4.network, subnet },
    v6: v6 && subnet6 && { network: v6.network, subnet: subnet6 },
  };
}
