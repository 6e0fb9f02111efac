/**
 * The HostPort of a simulated host: links, addresses and default route are those of its fake kernel, the files are in
 * memory and outlive the agent, and every deed is noted in order.
 */
import type { HostPort } from '../../src/agent/ports.ts';
import type { Clock } from '../../src/core/index.ts';
import {
  type ForwardingOutcome,
  type ForwardStatus,
  type ForwardWanted,
  findUplink,
  type HostFacts,
  type Link,
  type NeighbourLimits,
  type Notifier,
  type PreviousSubnets,
  type SubnetFile,
  type UplinkChoice,
} from '../../src/host/index.ts';
import { formatSubnetFile, parseSubnetFile } from '../../src/host/subnetFile.ts';
import type { Family } from '../../src/ip/index.ts';
import type { DiskView, LoadedState, LoadedView, OwnState } from '../../src/lease/index.ts';
import type { FakeKernel } from './fakeKernel.ts';
import type { FakeLink } from './fakeNexthop.ts';

const PROTOCOL_KERNEL = 2;
/** Facts are read by programs: what they tell was true so long ago. */
const FACTS_MS = 5;
const NO_OPTIONS = {
  iface: [],
  ifaceRegex: [],
  ifaceCanReach: undefined,
  publicIp: undefined,
  publicIpv6: undefined,
};

export class SimMachine implements HostPort {
  readonly #name: string;
  readonly #kernel: FakeKernel;
  readonly #clock: Clock;
  /** What was done to this host, in order: `forwarding`, `firewall`, `subnet-file`, `READY`. */
  readonly deeds: string[] = [];
  /** How often its links, addresses and routes were read. */
  factsRead = 0;
  /** Every STATUS= that systemd was told. */
  readonly statuses: string[] = [];
  readonly firewall: ForwardWanted[] = [];
  state: OwnState | undefined;
  /** The view on disk. */
  view: DiskView | undefined;
  /** How often it was written. */
  viewWrites = 0;
  subnetFile = '';
  mtu = 1500;
  limits: NeighbourLimits = { 4: 1024, 6: 1024 };
  /** What the firewall answers; undefined: it rejects. */
  firewallStatus: ForwardStatus | undefined = { kind: 'open', how: 'simulated' };
  /** How long the firewall's programs take; from 1 on their end is a deed too. */
  firewallMs = 0;
  /** What turning on forwarding rejects with. */
  forwardingTrouble: string | undefined;
  /** What writing to the disk rejects with. */
  diskTrouble: string | undefined;
  /** How long a write takes: a crash meanwhile comes before the new file is there, or before that is known. */
  diskMs = 0;
  #crashes = 0;
  #dead = false;
  readonly forwardRules: NonNullable<HostPort['forwardRules']>;
  readonly notifier: Notifier;

  constructor(name: string, kernel: FakeKernel, clock: Clock) {
    this.#name = name;
    this.#kernel = kernel;
    this.#clock = clock;
    this.forwardRules = {
      ensure: async (wanted) => {
        this.deeds.push('firewall');
        this.firewall.push(wanted);
        if (this.firewallMs > 0) {
          await this.#pass(this.firewallMs);
          this.deeds.push('firewall stands');
        }
        if (this.firewallStatus === undefined) throw new Error('nft cannot be started');
        return this.firewallStatus;
      },
      watch: () => {},
    };
    this.notifier = {
      ready: async (status) => {
        this.deeds.push('READY');
        this.statuses.push(status);
      },
      status: async (status) => {
        this.statuses.push(status);
      },
      stopping: async () => {},
    };
  }

  async identity(): Promise<string> {
    return this.#name;
  }

  facts(signal: AbortSignal): Promise<HostFacts> {
    const facts = this.#facts();
    this.factsRead += 1;
    return new Promise((resolve, reject) => {
      const stop = (): void => reject(new Error('the agent stops'));
      signal.addEventListener('abort', stop, { once: true });
      this.#clock.at(this.#clock.now() + FACTS_MS, () => {
        signal.removeEventListener('abort', stop);
        resolve(facts);
      });
    });
  }

  uplink(
    facts: HostFacts,
    current: Parameters<HostPort['uplink']>[1],
    families: readonly Family[] | undefined,
  ): Promise<UplinkChoice> {
    return findUplink(facts, { ...NO_OPTIONS, families, keep: current?.address6 });
  }

  async neighbourLimits(): Promise<NeighbourLimits> {
    return this.limits;
  }

  async ensureForwarding(): Promise<ForwardingOutcome> {
    this.deeds.push('forwarding');
    if (this.forwardingTrouble !== undefined) throw new Error(this.forwardingTrouble);
    return { kind: 'on', changes: [] };
  }

  async previousSubnets(): Promise<PreviousSubnets> {
    return parseSubnetFile(this.subnetFile);
  }

  async writeSubnetFile(file: SubnetFile): Promise<boolean> {
    this.deeds.push('subnet-file');
    if (this.diskTrouble !== undefined) throw new Error(this.diskTrouble);
    const text = formatSubnetFile(file);
    const written = text !== this.subnetFile;
    this.subnetFile = text;
    return written;
  }

  async loadState(): Promise<LoadedState> {
    return this.state === undefined ? { kind: 'none' } : { kind: 'state', state: this.state };
  }

  saveState(state: OwnState): Promise<void> {
    return this.#write(() => {
      this.state = state;
    });
  }

  /** Whatever runs here can write from now on. */
  boot(): void {
    this.#dead = false;
  }

  /** What runs here writes nothing any more, not even what it has begun to. */
  crash(): void {
    this.#crashes += 1;
    this.#dead = true;
  }

  /** A file is replaced whole or not at all. */
  async #write(replace: () => void): Promise<void> {
    const life = this.#crashes;
    await this.#pass(this.diskMs);
    if (this.diskTrouble !== undefined) throw new Error(this.diskTrouble);
    if (!this.#dead && life === this.#crashes) replace();
    await this.#pass(this.diskMs);
  }

  async #pass(ms: number): Promise<void> {
    if (ms > 0)
      await new Promise<void>((resolve) => {
        this.#clock.at(this.#clock.now() + ms, resolve);
      });
  }

  async loadView(): Promise<LoadedView> {
    return this.view === undefined ? { kind: 'none' } : { kind: 'view', view: this.view };
  }

  /** Takes no time: the agent waits for it at its end, when nobody moves the clock. */
  async saveView(view: DiskView): Promise<void> {
    if (this.diskTrouble !== undefined) throw new Error(this.diskTrouble);
    if (this.#dead) return;
    this.view = view;
    this.viewWrites += 1;
  }

  #facts(): HostFacts {
    const routes = this.#kernel.routes();
    return {
      links: this.#kernel.links().map((link) => this.#link(link)),
      connected: routes
        .filter(({ protocol, gateway }) => protocol === PROTOCOL_KERNEL && gateway === undefined)
        .map(({ prefix, device }) => ({ prefix, device })),
      defaultRoutes: routes
        .filter(({ prefix }) => prefix.length === 0)
        .map(({ prefix: { address }, gateway, device, metric }) => ({
          family: address.family,
          gateway,
          device,
          metric,
        })),
    };
  }

  #link({ index, name, up, carrier }: FakeLink): Link {
    const addresses = this.#kernel
      .addresses()
      .filter(({ device }) => device === index)
      .map(({ address, prefix }) => ({
        address,
        length: prefix.length,
        secondary: false,
        usable: true,
      }));
    return { index, name, up, carrier, mtu: this.mtu, kind: 'ether', addresses };
  }
}
