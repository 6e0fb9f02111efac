/**
 * The agent: puts lease side, route side and host side together and keeps the list of what is wrong.
 * It owns no rule: what one side says goes to the others, to the log, to systemd and to /readyz.
 */

import type { AgentOptions, NetworkConfig } from '../config/index.ts';
import type { Address } from '../ip/index.ts';
import { type BookChanges, type HeldSubnet, type OwnStatus, subnetsText } from '../lease/index.ts';
import { Crowd } from './crowd.ts';
import { type Condition, Health } from './health.ts';
import { HostSide } from './hostSide.ts';
import { HostUnusable } from './hostUnusable.ts';
import { LeaseSide } from './leaseSide.ts';
import { recall } from './memory.ts';
import type { AgentPorts } from './ports.ts';
import { RouteSide } from './routeSide.ts';
import { awaitUplink, firstAddress, sourceTrouble, type Uplink } from './uplink.ts';

const UNTRIED = 'firewall and subnet file have not been tried yet';
/** What lease and peers are, they have said themselves; the end of the setup is `ready`. */
const UNSAID: ReadonlySet<string> = new Set(['lease', 'view', 'peers', 'setup']);

/** The conditions that READY waits for. */
const NEEDED = new Set(['lease', 'subnet-file']);

interface Sides {
  readonly lease: LeaseSide;
  readonly route: RouteSide;
  readonly host: HostSide;
}

export class Agent {
  readonly #options: AgentOptions;
  readonly #ports: AgentPorts;
  readonly #signal: AbortSignal;
  readonly health: Health;
  readonly #crowd: Crowd;
  #sides: Sides | undefined;
  #config: NetworkConfig | undefined;
  #held: HeldSubnet | undefined;
  /** What the subnet needs of this host was tried. */
  #carried = false;
  #ready = false;
  #watching = false;
  readonly #gateways = new Map<string, Address>();

  constructor(options: AgentOptions, ports: AgentPorts, signal: AbortSignal) {
    this.#options = options;
    this.#ports = ports;
    this.#signal = signal;
    this.#crowd = new Crowd(ports.log, ports.clock, signal);
    this.health = new Health((condition, code) => this.#tell(condition, code));
    this.health.set({ code: 'lease', sentence: 'no subnet is held yet', blocking: true });
    this.health.set({ code: 'setup', sentence: UNTRIED, blocking: true });
  }

  /**
   * Runs until the signal aborts; the routes stay. Rejects with HostUnusable if there is nothing that waiting could help with.
   */
  async run(): Promise<void> {
    const found = await awaitUplink(
      this.#ports,
      this.health,
      this.#signal,
      (reason) => new HostUnusable(reason),
    );
    if (found === undefined) return;
    const noSource = sourceTrouble(found.facts, this.#options.routeSources);
    if (noSource !== undefined) throw new HostUnusable(noSource);
    const lease = await this.#leaseOptions(found.uplink);
    if (this.#signal.aborted) return;
    const sides = this.#build(found, lease);
    this.#sides = sides;
    sides.host.follow(
      (links) => sides.route.setLinks(links),
      () => this.#moved(),
    );
    sides.lease.start();
    await aborted(this.#signal);
    await sides.lease.close();
  }

  /** The operator's word that a mass loss is meant. */
  confirm(): void {
    this.#sides?.route.confirm();
  }

  /** Ours, once held; both of a dual-stack network. */
  get subnet(): string | undefined {
    return this.#held && subnetsText(this.#held.name);
  }

  /** Whether an uplink is still being looked for. */
  get choosing(): boolean {
    return this.#sides?.host.choosing ?? false;
  }

  /** What /readyz tells besides the conditions. */
  details(): object {
    const { driver, etcd } = this.#ports;
    return {
      subnet: this.#held?.subnet?.text ?? null,
      subnet6: this.#held?.subnet6?.text ?? null,
      uplink: this.#sides?.host.uplink.name ?? null,
      driver: driver.name,
      routes: this.#sides?.route.summary() ?? {},
      ...this.#sides?.lease.summary(),
      etcd: etcd.status(),
    };
  }

  async #leaseOptions(uplink: Uplink): Promise<ConstructorParameters<typeof LeaseSide>[1]> {
    const { host, log } = this.#ports;
    const { identity, ...memory } = await recall(host, log, this.#options);
    const { etcdPrefix, leaseTtlSeconds: ttlSeconds, renewMarginMs, lostSubnet } = this.#options;
    return {
      etcdPrefix,
      ttlSeconds,
      renewMarginMs,
      lost: lostSubnet,
      ...memory,
      // Cloned machines share their identity, and so would always try the same subnets first.
      seed: `${identity} ${firstAddress(uplink)}`,
      signal: this.#signal,
    };
  }

  #build(
    found: ConstructorParameters<typeof HostSide>[3],
    leaseOptions: ConstructorParameters<typeof LeaseSide>[1],
  ): Sides {
    const { routeProtocol: protocol, sweepHoldMs, subnetFile } = this.#options;
    const { routeMetrics: metrics, routeSources: sources, neighbours } = this.#options;
    const signal = this.#signal;
    const host = new HostSide(
      this.#ports,
      { ipMasq: false, subnetFile, signal },
      this.health,
      found,
    );
    const onHint = (): void => host.hint();
    const { table } = this.#ports.host;
    const routing = { protocol, table, metrics, sources, neighbours };
    const onHold = (holding: boolean): void => this.#sides?.lease.hold(holding);
    const routeOptions = { ...routing, sweepHoldMs, signal, onHint, onHold };
    const route = new RouteSide(this.#ports, routeOptions, this.health, found.uplink);
    const { log } = this.#ports;
    const lease = new LeaseSide(
      this.#ports,
      leaseOptions,
      {
        routes: (changes, complete, suspect) => this.#routes(changes, complete, suspect),
        config: (config) => {
          this.#config = config;
          const ranges = rangesOf(config);
          host.setFamilies(ranges.map(({ min }) => min.family));
          lease.setAddresses(host.addresses);
          route.setNetwork(ranges.map(({ network }) => network));
          // Firewall and subnet file name Network too.
          if (this.#held !== undefined) void this.#hold(this.#held);
        },
        configTrouble: (sentence) => this.#condition('config', sentence, false),
        warning: (sentence) => log.warn(sentence),
        stale: (sentence) => {
          if (sentence !== undefined) log.info(sentence);
          this.#condition('view', sentence, true);
        },
        expected: (own) => this.#config && host.prepare(own, this.#config),
        unexpected: () => host.forget(),
        held: (held) => void this.#hold(held),
        own: (status, sentence) => this.#own(status, sentence),
        unsaved: (reason) => this.#condition('state', reason && this.#unsavedText(reason), false),
        viewUnsaved: (reason) =>
          this.#condition('view-file', reason && this.#viewUnsavedText(reason), false),
        freshness: (state, reason) =>
          this.#condition('etcd', state === 'live' ? undefined : reason, true),
      },
      host.addresses,
      host.surroundings,
    );
    return { lease, route, host };
  }

  #moved(): void {
    if (this.#sides === undefined) return;
    const { host, lease, route } = this.#sides;
    // The device first: what is judged anew goes through it.
    route.setUplink(host.uplink);
    lease.setAddresses(host.addresses);
    lease.setSurroundings(host.surroundings);
  }

  #routes({ routes, statuses }: BookChanges, complete: boolean, suspect: boolean): void {
    for (const { prefix, gateway } of routes) {
      if (gateway === undefined) this.#gateways.delete(prefix.text);
      else this.#gateways.set(prefix.text, gateway);
    }
    if (routes.length > 0) this.#sides?.host.setGateways(this.#gateways);
    this.#sides?.route.want(routes, complete, suspect);
    this.#tellRefused(statuses);
  }

  #tellRefused(statuses: BookChanges['statuses']): void {
    for (const { status } of statuses) {
      if (status?.kind === 'believed' && status.note !== undefined)
        this.#crowd.say('warn', status.note, 'leases get a route in one family only');
      if (status === undefined || !('reason' in status)) continue;
      const level = status.kind === 'other-backend' ? 'info' : 'warn';
      this.#crowd.say(level, `no route: ${status.reason}`, 'leases get no route');
    }
  }

  async #hold(held: HeldSubnet): Promise<void> {
    this.#held = held;
    if (this.#config === undefined || this.#sides === undefined) return;
    await this.#sides.host.hold(held, this.#config);
    this.#carried = true;
    this.#readyIfSo();
  }

  /** Told once: whoever waits for it (Docker) needs the subnet and its file, and turns on forwarding itself. */
  #readyIfSo(): void {
    const { log, host } = this.#ports;
    if (this.#ready || !this.#carried || this.#signal.aborted) return;
    if (this.health.conditions.some(({ code, blocking }) => blocking && NEEDED.has(code))) return;
    this.#ready = true;
    this.health.clear('setup');
    log.info('ready');
    void host.notifier.ready(this.#statusText());
  }

  #own(status: OwnStatus, sentence: string): void {
    const { log, watcher } = this.#ports;
    watcher?.own(status, sentence);
    // What is wrong with the config has been said, and that it changes nothing for us.
    const said = this.health.has('config') && (status === 'held' || status === 'waiting');
    if (said) log.debug(sentence);
    else if (status === 'superseded')
      this.#crowd.say('error', sentence, 'times our key has changed its owner');
    else if (status === 'doubtful' || status === 'contested' || status === 'full')
      log.warn(sentence);
    else log.info(sentence);
    if (status === 'held') {
      if (!this.#watching)
        log.info(`watching for leases under ${this.#sides?.lease.subnetsPrefix}`);
      this.#watching = true;
      this.health.clear('lease');
    }
    // Doubt alone leaves the host where it is: its subnet is for life.
    else this.health.set({ code: 'lease', sentence, blocking: status !== 'doubtful' });
  }

  #condition(code: string, sentence: string | undefined, blocking: boolean): void {
    if (sentence === undefined) this.health.clear(code);
    else this.health.set({ code, sentence, blocking });
  }

  #tell(condition: Condition | undefined, code: string): void {
    const { log, host } = this.#ports;
    if (!UNSAID.has(code)) {
      if (condition === undefined) log.info(`${code}: in order again`);
      // The session has said it of the endpoint; what it means for this host is new.
      else if (code === 'etcd' && condition.sentence === this.#ports.etcd.status().trouble)
        log.warn('etcd: no live view of the leases: routes and subnet stay as they are');
      else log.warn(`${code}: ${condition.sentence}`);
    }
    if (code === 'setup') return;
    void host.notifier.status(this.#statusText());
    if (condition === undefined) this.#readyIfSo();
  }

  #unsavedText(reason: string): string {
    return `the state in ${this.#options.stateDir} cannot be saved, so that a restart must find our subnet by its address: ${reason}`;
  }

  #viewUnsavedText(reason: string): string {
    return `the view in ${this.#options.stateDir} cannot be saved, so that a start without etcd would begin with an older one: ${reason}`;
  }

  #statusText(): string {
    const [first] = this.health.conditions;
    return first?.sentence ?? `subnet ${this.subnet ?? 'none'}, all in order`;
  }
}

const rangesOf = ({ v4, v6 }: NetworkConfig) => [v4, v6].filter((range) => range !== undefined);

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
