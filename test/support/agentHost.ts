/** One host of a world of agents: what survives its agent (kernel, machine, line to etcd), and the agent that runs on it. */
import assert from 'node:assert/strict';
import { Agent } from '../../src/agent/agent.ts';
import { type AgentOptions, agentOptions } from '../../src/config/index.ts';
import type { Clock, Random } from '../../src/core/index.ts';
import type { RouteOp } from '../../src/route/index.ts';
import { FakeKernel } from './fakeKernel.ts';
import { HostClock } from './hostClock.ts';
import { address, prefix } from './leases.ts';
import { type CollectingLog, collectingLog } from './log.ts';
import type { SimCluster } from './simCluster.ts';
import { SimMachine } from './simMachine.ts';
import { SimSession } from './simSession.ts';
import { watched } from './watchedDriver.ts';

export const OPTIONS: AgentOptions = agentOptions(new Map(), {});
export const SUBNETS = `${OPTIONS.etcdPrefix}/subnets/`;
const ROUTER = '10.10.10.1';
const UPLINK = 'eth0';

/** What the hosts share. */
export interface Surroundings {
  readonly clock: Clock;
  readonly random: Random;
  readonly etcd: SimCluster;
  readonly options: AgentOptions;
}

export class AgentHost {
  readonly name: string;
  readonly clock: HostClock;
  readonly kernel = new FakeKernel();
  readonly machine: SimMachine;
  readonly etcd: SimSession;
  readonly log: CollectingLog = collectingLog();
  /** Of its driver (RouteDriver.hearsSurroundings). */
  hearsSurroundings = false;
  /** Index of the uplink. */
  device = 0;
  address: string;
  /** Every etcd lease id that agents of this host chose. */
  readonly leaseIds = new Set<string>();
  /** Every address that this host had. */
  readonly addresses = new Set<string>();
  /** The disk, or the state on it, was lost once. */
  reimaged = false;
  /** How many agents ran here. */
  lives = 0;
  /** What the disk said when the agent started. */
  stateAtStart: SimMachine['state'];
  viewAtStart: SimMachine['view'];
  /** What agents ended with. */
  readonly errors: unknown[] = [];
  /** Prefixes that an agent of this host left without a route by deleting the last one. */
  readonly gaps: string[] = [];
  readonly #world: Surroundings;
  #life: AbortController | undefined;
  #agent: Agent | undefined;
  #ended: Promise<void> = Promise.resolve();

  constructor(world: Surroundings, name: string, at: string) {
    this.#world = world;
    this.name = name;
    this.address = at;
    this.clock = new HostClock(world.clock);
    this.machine = new SimMachine(name, this.kernel, this.clock);
    this.etcd = new SimSession(world.etcd, this.clock, world.random);
    this.plug();
  }

  get running(): boolean {
    return this.#life !== undefined;
  }

  get ready(): boolean {
    return this.#agent?.health.ready ?? false;
  }

  /** The agent says that it holds routes of peers that went all at once. */
  get holding(): boolean {
    return this.#agent?.health.has('sweep-held') ?? false;
  }

  /** `hostgw confirm` */
  confirm(): void {
    this.#live.confirm();
  }

  /** As /readyz tells it. */
  readyz(): string {
    const { ready, conditions } = this.#live.health;
    return JSON.stringify({ ready, conditions, ...this.#live.details() });
  }

  /** The subnet that the agent holds, by its own word. */
  get subnet(): string | undefined {
    return this.#agent?.subnet;
  }

  /** The key that this host's state names. */
  get key(): string {
    return SUBNETS + this.machine.state?.subnet;
  }

  /** A new agent on whatever is here: as after a start of the machine, a stop or kill -9. */
  start(): void {
    assert.ok(this.#life === undefined, `${this.name} runs already`);
    const life = new AbortController();
    this.#life = life;
    this.machine.boot();
    this.lives += 1;
    this.stateAtStart = this.machine.state;
    this.viewAtStart = this.machine.view;
    const { clock } = this;
    const { random, options } = this.#world;
    const driver = watched(this.kernel.driver(), clock, (ops) => this.#applied(ops));
    const ports = {
      clock,
      random,
      log: this.log,
      etcd: this.etcd,
      driver: { ...driver, hearsSurroundings: this.hearsSurroundings },
      host: this.machine,
      newLeaseId: () => {
        const id = String(1 + Math.floor(random() * 2 ** 40));
        this.leaseIds.add(id);
        return id;
      },
    };
    this.#agent = new Agent(options, ports, life.signal);
    this.#ended = this.#agent
      .run()
      .catch((error: unknown) => void this.errors.push(error))
      .then(() => driver.close());
  }

  /** Power is lost: the kernel forgets everything, and the agent is not started. */
  async reboot(): Promise<void> {
    await this.kill();
    if (this.plugged) this.unplug();
    this.plug();
  }

  /** And so is the disk. */
  async reimage(): Promise<void> {
    await this.reboot();
    this.reimaged = true;
    this.machine.state = undefined;
    this.machine.view = undefined;
    this.machine.subnetFile = '';
  }

  /** The agent is killed, and its state is lost; the view on disk is not. */
  async forget(): Promise<void> {
    await this.kill();
    this.reimaged = true;
    this.machine.state = undefined;
  }

  /** kill -9: what is on its way to the disk does not arrive. */
  kill(): Promise<void> {
    this.machine.crash();
    return this.stop();
  }

  async stop(): Promise<void> {
    this.#life?.abort();
    this.#life = undefined;
    this.#agent = undefined;
    await this.#ended;
  }

  /** Our routes like `ip route` prints them, without what is the same for all. */
  routes(): string[] {
    return this.kernel
      .routes()
      .filter(({ protocol }) => protocol === OPTIONS.routeProtocol)
      .map((route) => {
        const elsewhere = route.device === this.device ? '' : ` dev ${route.device}`;
        return `${route.prefix.text} via ${route.gateway?.text}${elsewhere}`;
      })
      .sort();
  }

  /** What was done to routes, e.g. `add 10.100.3.0/24 via 10.10.10.102`; failed ones with their errno. */
  writes(): string[] {
    return this.kernel.journal.map(
      ({ kind, route, result }) =>
        `${kind} ${route.prefix.text} via ${route.gateway?.text}${result === 'done' ? '' : ` ${result}`}`,
    );
  }

  /** Plugs in an uplink with the host's address and the default route; its index is a new one. */
  plug(): void {
    this.device = this.kernel.addLink(UPLINK);
    this.kernel.addAddress(this.device, `${this.address}/24`);
    this.addresses.add(this.address);
    this.routeByDefault();
  }

  unplug(): void {
    this.kernel.removeLink(this.device);
  }

  /** Whether the uplink is there, up or down. */
  get plugged(): boolean {
    return this.kernel.links().some(({ index }) => index === this.device);
  }

  /** The default route, which a kernel does not bring back by itself. */
  routeByDefault(): void {
    const device = this.device;
    if (this.kernel.routes().some(({ prefix: { length } }) => length === 0)) return;
    this.kernel.foreignAdd({ prefix: prefix('0.0.0.0/0'), gateway: address(ROUTER), device });
  }

  /** Gives the uplink another address, the new one first. */
  move(to: string): void {
    this.kernel.addAddress(this.device, `${to}/24`);
    this.kernel.removeAddress(this.device, `${this.address}/24`);
    this.address = to;
    this.addresses.add(to);
  }

  toString(): string {
    const { state } = this.machine;
    const head = `${this.name} ${this.address} ${this.running ? this.readyz() : 'down'} ${this.etcd.line.state}`;
    return [head, JSON.stringify(state), String(this.kernel), ...this.log.lines].join('\n  ');
  }

  #applied(ops: readonly RouteOp[]): void {
    const left = new Set(this.routes().map((route) => route.split(' ')[0]));
    for (const { kind, route } of ops) {
      const { text } = route.prefix;
      if (kind === 'delete' && !left.has(text)) this.gaps.push(text);
    }
  }

  get #live(): Agent {
    assert.ok(this.#agent !== undefined, `${this.name} does not run`);
    return this.#agent;
  }
}
