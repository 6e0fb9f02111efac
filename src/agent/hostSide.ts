/**
 * The host side of the agent: follows this machine's links and addresses, and keeps forwarding, firewall rules and
 * subnet file as the lease wants them.
 */
import type { SubnetRange } from '../config/index.ts';
import type { Cancel } from '../core/index.ts';
import {
  type ForwardStatus,
  type HostFacts,
  type Link,
  surroundingsOf,
  type UplinkChoice,
} from '../host/index.ts';
import type { Address } from '../ip/index.ts';
import type { HeldSubnet, Surroundings } from '../lease/index.ts';
import type { Health } from './health.ts';
import type { AgentPorts } from './ports.ts';
import { sentenceOf } from './sentence.ts';

export type Uplink = Extract<UplinkChoice, { kind: 'uplink' }>;

/** A hint is followed at once, a storm of them at this pace; and without any, so often (a default route that moves gives none). */
const REFRESH_MS = 250;
const REFRESH_IDLE_MS = 30_000;
const UPLINK_RETRY_MS = 1_000;
/** The firewall's programs cost more than all else together: routes come first, and a burst of peers is one change. */
const FIREWALL_DELAY_MS = 200;

export interface HostSideOptions {
  readonly ipMasq: boolean;
  readonly subnetFile: string;
  readonly signal: AbortSignal;
}

export class HostSide {
  readonly #ports: AgentPorts;
  readonly #options: HostSideOptions;
  readonly #health: Health;
  #facts: HostFacts;
  #uplink: Uplink;
  #onChange: (() => void) | undefined;
  #onLinks: ((links: readonly Link[]) => void) | undefined;
  #refreshing = false;
  #hinted = false;
  #next: Cancel | undefined;
  #gateways: readonly Address[] = [];
  #held: { readonly lease: HeldSubnet; readonly range: SubnetRange } | undefined;
  /** Settles when the change of the firewall that waits has been made. */
  #firewallDue: Promise<void> | undefined;
  #watchingFirewall = false;

  constructor(
    ports: AgentPorts,
    options: HostSideOptions,
    health: Health,
    found: { readonly facts: HostFacts; readonly uplink: Uplink },
  ) {
    this.#ports = ports;
    this.#options = options;
    this.#health = health;
    this.#facts = found.facts;
    this.#uplink = found.uplink;
    options.signal.addEventListener('abort', () => this.#next?.(), { once: true });
  }

  get uplink(): Uplink {
    return this.#uplink;
  }

  get surroundings(): Surroundings {
    const own = this.#held?.lease.subnet;
    return surroundingsOf(this.#facts, this.#uplink.device, own === undefined ? [] : [own]);
  }

  /** Tells the links now and each time they were read; calls back whenever addresses or the uplink are other than before. */
  follow(onLinks: (links: readonly Link[]) => void, onChange: () => void): void {
    this.#onLinks = onLinks;
    this.#onChange = onChange;
    onLinks(this.#facts.links);
    this.#later(REFRESH_IDLE_MS);
  }

  /** Something may have changed: look, at most every REFRESH_MS. */
  hint(): void {
    if (this.#refreshing) this.#hinted = true;
    else void this.#refresh();
  }

  /** Where believed leases route to: their masquerading containers pass the firewall too. */
  setGateways(gateways: readonly Address[]): void {
    this.#gateways = gateways;
    void this.#firewallSoon();
  }

  /** Makes the host carry the subnet: forwarding, firewall, then the subnet file. Resolves when all was tried. */
  async hold(lease: HeldSubnet, range: SubnetRange): Promise<void> {
    this.#held = { lease, range };
    // Before the file: whoever starts Docker by it finds the way in already open to peers and shut to others.
    await Promise.all([this.#ensureForwarding(), this.#firewallSoon()]);
    await this.#writeSubnetFile();
  }

  async #refresh(): Promise<void> {
    const { clock, host } = this.#ports;
    const { signal } = this.#options;
    this.#refreshing = true;
    this.#next?.();
    try {
      const facts = await host.facts(signal);
      const choice = await host.uplink(facts);
      // A hint that came meanwhile may be about something that changed after it was read.
      if (!signal.aborted && !this.#hinted) this.#onLinks?.(facts.links);
      if (!signal.aborted) this.#take(facts, choice);
      this.#health.clear('host');
      await this.#again();
    } catch (error) {
      if (!signal.aborted) {
        const sentence = `this host's links cannot be read: ${sentenceOf(error)}`;
        this.#health.set({ code: 'host', sentence, blocking: false });
      }
    }
    if (signal.aborted) return;
    this.#next = clock.at(clock.now() + REFRESH_MS, () => {
      this.#refreshing = false;
      const again = this.#hinted;
      this.#hinted = false;
      if (again) void this.#refresh();
      else this.#later(REFRESH_IDLE_MS);
    });
  }

  /** What could not be done is tried again, as often as the host is looked at. */
  async #again(): Promise<void> {
    if (this.#health.has('forwarding')) await this.#ensureForwarding();
    if (this.#health.has('subnet-file')) await this.#writeSubnetFile();
  }

  #later(ms: number): void {
    const { clock } = this.#ports;
    this.#next?.();
    this.#next = clock.at(clock.now() + ms, () => void this.#refresh());
  }

  #take(facts: HostFacts, choice: UplinkChoice): void {
    if (choice.kind === 'none') {
      // All stays as it was with the old uplink: routes return with it, and a cable that is out must neither move the
      // lease nor have peers refused as off-link. The kernel says of each route itself why it does not stand.
      const sentence = `${this.#uplink.name} stays the uplink, though none is found now: ${choice.reason}`;
      return this.#health.set({ code: 'uplink', sentence, blocking: true });
    }
    this.#health.clear('uplink');
    const before = JSON.stringify([this.#surroundingsText(), uplinkText(this.#uplink)]);
    const moved = uplinkText(choice) !== uplinkText(this.#uplink);
    this.#facts = facts;
    this.#uplink = choice;
    if (JSON.stringify([this.#surroundingsText(), uplinkText(choice)]) === before) return;
    if (moved) {
      this.#ports.log.info(announced(choice));
      void this.#ensureForwarding();
      void this.#firewallSoon();
      void this.#writeSubnetFile();
    }
    this.#onChange?.();
  }

  #surroundingsText(): string[] {
    const { localAddresses, connected, onLink, defaultGateways } = this.surroundings;
    return [...localAddresses, ...connected, ...onLink, ...defaultGateways].map(({ text }) => text);
  }

  async #ensureForwarding(): Promise<void> {
    const outcome = await this.#ports.host
      .ensureForwarding(this.#uplink.name)
      .catch((error: unknown) => ({ kind: 'failed', reason: sentenceOf(error) }) as const);
    if (outcome.kind === 'failed')
      return this.#health.set({ code: 'forwarding', sentence: outcome.reason, blocking: true });
    this.#health.clear('forwarding');
    for (const change of outcome.changes) this.#ports.log.info(change);
  }

  #firewallSoon(): Promise<void> {
    const { signal } = this.#options;
    this.#firewallDue ??= pause(this.#ports, FIREWALL_DELAY_MS, signal).then(() => {
      this.#firewallDue = undefined;
      return this.#ensureFirewall();
    });
    return this.#firewallDue;
  }

  async #ensureFirewall(): Promise<void> {
    const { forwardRules } = this.#ports.host;
    const held = this.#held;
    const { signal } = this.#options;
    if (forwardRules === undefined || held?.lease.subnet === undefined || signal.aborted) return;
    const wanted = {
      uplink: this.#uplink.name,
      network: held.range.network,
      subnet: held.lease.subnet,
      gateways: this.#gateways,
    };
    try {
      this.#tellFirewall(await forwardRules.ensure(wanted, signal));
    } catch (error) {
      if (!signal.aborted) this.#tellFirewall({ kind: 'failed', reason: sentenceOf(error) });
    }
    if (this.#watchingFirewall || signal.aborted) return;
    this.#watchingFirewall = true;
    forwardRules.watch((status) => this.#tellFirewall(status), signal);
  }

  #tellFirewall(status: ForwardStatus): void {
    if (status.kind === 'open') {
      this.#ports.log.debug(`forward rules: ${status.how}`);
      return this.#health.clear('firewall');
    }
    const blocking = status.kind === 'failed';
    this.#health.set({ code: 'firewall', sentence: status.reason, blocking });
  }

  async #writeSubnetFile(): Promise<void> {
    const held = this.#held;
    if (held?.lease.subnet === undefined) return;
    const v4 = { network: held.range.network, subnet: held.lease.subnet };
    const { ipMasq, subnetFile } = this.#options;
    try {
      const { mtu } = this.#uplink;
      const written = await this.#ports.host.writeSubnetFile({ v4, v6: undefined, mtu, ipMasq });
      this.#health.clear('subnet-file');
      if (written) this.#ports.log.info(`wrote ${subnetFile}`);
    } catch (error) {
      this.#health.set({ code: 'subnet-file', sentence: sentenceOf(error), blocking: true });
    }
  }
}

/** Looks for the uplink until there is one, saying once why there is none. Undefined: the signal came first. */
export async function awaitUplink(
  ports: AgentPorts,
  signal: AbortSignal,
  hopeless: (reason: string) => Error,
): Promise<{ facts: HostFacts; uplink: Uplink } | undefined> {
  let said = '';
  while (!signal.aborted) {
    let reason: string;
    try {
      const facts = await ports.host.facts(signal);
      const choice = await ports.host.uplink(facts);
      if (choice.kind === 'uplink') {
        ports.log.info(announced(choice));
        return { facts, uplink: choice };
      }
      if (!choice.canWait) throw new Error(choice.reason);
      reason = choice.reason;
    } catch (error) {
      if (signal.aborted) return undefined;
      throw hopeless(sentenceOf(error));
    }
    if (reason !== said) ports.log.warn(`waiting for an external interface: ${reason}`);
    said = reason;
    await pause(ports, UPLINK_RETRY_MS, signal);
  }
  return undefined;
}

function pause({ clock }: AgentPorts, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const cancel = clock.at(clock.now() + ms, resolve);
    signal.addEventListener('abort', () => (cancel(), resolve()), { once: true });
  });
}

const announced = ({ name, address, mtu, how }: Uplink): string =>
  `external interface ${name} (${how}), address ${address.text}, mtu ${mtu}`;

const uplinkText = ({ device, name, address, mtu }: Uplink): string =>
  [device, name, address.text, mtu].join(' ');
