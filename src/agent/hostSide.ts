/**
 * The host side of the agent: follows this machine's links, addresses and uplink, and has the host carry the subnet
 * through whatever they become.
 */
import type { SubnetRange } from '../config/index.ts';
import { type Cancel, sentenceOf } from '../core/index.ts';
import { type HostFacts, type Link, surroundingsOf, type UplinkChoice } from '../host/index.ts';
import type { Address } from '../ip/index.ts';
import type { HeldSubnet, Surroundings } from '../lease/index.ts';
import { Carrier, type CarrierOptions } from './carrier.ts';
import type { Health } from './health.ts';
import type { AgentPorts } from './ports.ts';
import { announced, type Uplink, uplinkText } from './uplink.ts';

/** A hint is followed at once, a storm of them at this pace; and without any, so often (a default route that moves gives none). */
const REFRESH_MS = 250;
const REFRESH_IDLE_MS = 30_000;

export type HostSideOptions = Omit<CarrierOptions, 'uplink'>;

export class HostSide {
  readonly #ports: AgentPorts;
  readonly #signal: AbortSignal;
  readonly #carrier: Carrier;
  readonly #health: Health;
  #facts: HostFacts;
  #uplink: Uplink;
  #onChange: (() => void) | undefined;
  #onLinks: ((links: readonly Link[]) => void) | undefined;
  #refreshing = false;
  #hinted = false;
  #next: Cancel | undefined;

  constructor(
    ports: AgentPorts,
    options: HostSideOptions,
    health: Health,
    found: { readonly facts: HostFacts; readonly uplink: Uplink },
  ) {
    this.#ports = ports;
    this.#signal = options.signal;
    this.#carrier = new Carrier(ports, { ...options, uplink: () => this.#uplink }, health);
    this.#health = health;
    this.#facts = found.facts;
    this.#uplink = found.uplink;
    options.signal.addEventListener('abort', () => this.#next?.(), { once: true });
  }

  get uplink(): Uplink {
    return this.#uplink;
  }

  get surroundings(): Surroundings {
    const own = this.#carrier.lease?.subnet;
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

  /** By prefix; it is read when the firewall's turn comes. */
  setGateways(gateways: ReadonlyMap<string, Address>): void {
    this.#carrier.setGateways(gateways);
  }

  /** Makes the host carry the subnet. Resolves when all was tried. */
  hold(lease: HeldSubnet, range: SubnetRange): Promise<void> {
    return this.#carrier.hold(lease, range);
  }

  async #refresh(): Promise<void> {
    const { clock, host } = this.#ports;
    const signal = this.#signal;
    this.#refreshing = true;
    this.#next?.();
    try {
      const facts = await host.facts(signal);
      const choice = await host.uplink(facts, this.#uplink);
      // A hint that came meanwhile may be about something that changed after it was read.
      if (!signal.aborted && !this.#hinted) this.#onLinks?.(facts.links);
      if (!signal.aborted) this.#take(facts, choice);
      this.#health.clear('host');
      await this.#carrier.again();
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
      void this.#carrier.moved();
    }
    this.#onChange?.();
  }

  #surroundingsText(): string[] {
    const { localAddresses, connected, onLink, defaultGateways } = this.surroundings;
    return [...localAddresses, ...connected, ...onLink, ...defaultGateways].map(({ text }) => text);
  }
}
