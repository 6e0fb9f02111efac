/**
 * The host side of the agent: follows this machine's links, addresses and uplink, and has the host carry the subnet
 * through whatever they become.
 */
import type { NetworkConfig } from '../config/index.ts';
import { type Cancel, sentenceOf } from '../core/index.ts';
import { type HostFacts, type Link, surroundingsOf, type UplinkChoice } from '../host/index.ts';
import type { Address, Family } from '../ip/index.ts';
import type { HeldSubnet, PublicAddresses, Surroundings } from '../lease/index.ts';
import { Carrier, type CarrierOptions } from './carrier.ts';
import type { Health } from './health.ts';
import type { AgentPorts } from './ports.ts';
import { addressesOf, announced, type Uplink, uplinkText } from './uplink.ts';

/** A hint is followed at once, a storm of them at this pace; and without any, so often where not everything gives one. */
const REFRESH_MS = 250;
const REFRESH_IDLE_MS = 30_000;
/** And where all does: reading is four programs. What the host carries gives no hint, and costs next to nothing to look at. */
const REFRESH_HEARD_MS = 300_000;
/** While no interface does for the network config: a default route that comes gives no hint. */
const UNFIT_MS = 1_000;

export type HostSideOptions = Omit<CarrierOptions, 'uplink'>;

export class HostSide {
  readonly #ports: AgentPorts;
  readonly #signal: AbortSignal;
  readonly #carrier: Carrier;
  readonly #health: Health;
  #facts: HostFacts;
  #uplink: Uplink;
  /** Of the network config; undefined: not known yet. */
  #families: readonly Family[] | undefined;
  /** The uplink was chosen for other families: it is to be chosen anew, and has no address to tell until then. */
  #unfit = false;
  #announced: string;
  #onChange: (() => void) | undefined;
  #onLinks: ((links: readonly Link[]) => void) | undefined;
  #refreshing = false;
  /** When the facts were last read without a hint, and a listener at work. */
  #heardAt = Number.NEGATIVE_INFINITY;
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
    this.#announced = uplinkText(found.uplink, undefined);
    options.signal.addEventListener('abort', () => this.#next?.(), { once: true });
  }

  get uplink(): Uplink {
    return this.#uplink;
  }

  /** Whether an uplink for the families of the network config is still being looked for. */
  get choosing(): boolean {
    return this.#unfit && !this.#health.has('uplink');
  }

  /** What peers route to. */
  get addresses(): PublicAddresses {
    return this.#unfit ? NO_ADDRESSES : addressesOf(this.#uplink, this.#families);
  }

  get surroundings(): Surroundings {
    return surroundingsOf(this.#facts, this.#uplink.device, this.#carrier.subnets);
  }

  /**
   * The families of the network config, which was not known when the uplink was chosen: where that does not do for them
   * (IPv6 alone may have its default route elsewhere), another is looked for.
   */
  setFamilies(families: readonly Family[]): void {
    if (String(families) === String(this.#families)) return;
    this.#families = families;
    const { publicIp, publicIp6 } = addressesOf(this.#uplink, families);
    const complete = publicIp6 !== undefined || !families.includes(6);
    this.#unfit = publicIp === undefined || !complete;
    if (this.#unfit) this.hint();
    else this.#announce();
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

  /** Opens the way to a subnet that is expected to be held. */
  prepare(lease: HeldSubnet, config: NetworkConfig): void {
    this.#carrier.prepare(lease, config);
  }

  /** The subnet is not held after all. */
  forget(): void {
    this.#carrier.forget();
  }

  /** Makes the host carry the subnet. Resolves when all was tried. */
  hold(lease: HeldSubnet, config: NetworkConfig): Promise<void> {
    return this.#carrier.hold(lease, config);
  }

  async #refresh(): Promise<void> {
    const { clock, host } = this.#ports;
    const signal = this.#signal;
    this.#refreshing = true;
    this.#next?.();
    try {
      const facts = await host.facts(signal);
      const families = this.#families;
      const choice = await host.uplink(facts, this.#unfit ? undefined : this.#uplink, families);
      if (families !== this.#families) this.#hinted = true;
      // A hint that came meanwhile may be about something that changed after it was read.
      if (!signal.aborted && !this.#hinted) this.#onLinks?.(facts.links);
      if (!signal.aborted && families === this.#families) this.#take(facts, choice);
      this.#health.clear('host');
      await this.#carrier.again();
    } catch (error) {
      this.#heardAt = Number.NEGATIVE_INFINITY;
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
      else this.#later(this.#unfit ? UNFIT_MS : REFRESH_IDLE_MS);
    });
  }

  #later(ms: number): void {
    const { clock } = this.#ports;
    this.#next?.();
    this.#next = clock.at(clock.now() + ms, () => {
      const heard = this.#hears && !this.#unfit && clock.now() < this.#heardAt + REFRESH_HEARD_MS;
      if (!heard) {
        this.#heardAt = this.#hears ? clock.now() : Number.NEGATIVE_INFINITY;
        return void this.#refresh();
      }
      this.#later(REFRESH_IDLE_MS);
      void this.#carrier.again();
    });
  }

  /** Whether whatever changes the facts gives a hint. */
  get #hears(): boolean {
    return this.#ports.driver.hearsSurroundings === true && !this.#health.has('routes-listen');
  }

  #take(facts: HostFacts, choice: UplinkChoice): void {
    if (choice.kind === 'none') {
      // All stays as it was with the old uplink: routes return with it, and a cable that is out must neither move the
      // lease nor have peers refused as off-link. The kernel says of each route itself why it does not stand.
      const sentence = `${this.#uplink.name} stays the uplink, though none is found now: ${choice.reason}`;
      return this.#health.set({ code: 'uplink', sentence, blocking: true });
    }
    this.#health.clear('uplink');
    const before = this.#text();
    this.#facts = facts;
    this.#uplink = choice;
    this.#unfit = false;
    if (this.#text() === before) return;
    this.#announce();
    this.#onChange?.();
  }

  #announce(): void {
    const text = uplinkText(this.#uplink, this.#families);
    if (text === this.#announced) return;
    this.#announced = text;
    this.#ports.log.info(announced(this.#uplink, this.#families));
    void this.#carrier.moved();
  }

  /** Equal text, nothing changed for peers. */
  #text(): string {
    const { publicIp, publicIp6 } = this.addresses;
    const uplink = uplinkText(this.#uplink, this.#families);
    return JSON.stringify([this.#surroundingsText(), uplink, publicIp?.text, publicIp6?.text]);
  }

  #surroundingsText(): string[] {
    const { localAddresses, connected, onLink, defaultGateways } = this.surroundings;
    return [...localAddresses, ...connected, ...onLink, ...defaultGateways].map(({ text }) => text);
  }
}

const NO_ADDRESSES: PublicAddresses = { publicIp: undefined, publicIp6: undefined };
