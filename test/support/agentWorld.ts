/**
 * Whole agents in one process: real agents, each on a fake kernel and a machine of its own, over one simulated etcd and
 * one clock that only the test moves. A seed draws all chance, so a run can be replayed.
 */
import assert from 'node:assert/strict';
import { Agent } from '../../src/agent/agent.ts';
import { agentOptions } from '../../src/config/index.ts';
import type { Random } from '../../src/core/index.ts';
import type { RouteOp } from '../../src/route/index.ts';
import { ManualClock } from './clock.ts';
import { FakeKernel } from './fakeKernel.ts';
import { address, prefix } from './leases.ts';
import { type CollectingLog, collectingLog } from './log.ts';
import { seeded } from './seeded.ts';
import { SimCluster } from './simCluster.ts';
import { SimMachine } from './simMachine.ts';
import { SimSession } from './simSession.ts';
import { watched } from './watchedDriver.ts';

const OPTIONS = agentOptions(new Map(), {});
export const CONFIG_KEY = `${OPTIONS.etcdPrefix}/config`;
export const SUBNETS = `${OPTIONS.etcdPrefix}/subnets/`;
export const CONFIG = '{"Network":"10.100.0.0/16","Backend":{"Type":"host-gw"}}';
const ROUTER = '10.10.10.1';
const UPLINK = 'eth0';
/** Far above what any step needs: past it, two things keep waking each other. */
const WAKES_MAX = 200_000;

/** Lets every promise that can go on without the clock go on: a macrotask begins when no microtask is left. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

export class AgentWorld {
  readonly clock = new ManualClock();
  readonly random: Random;
  readonly etcd: SimCluster;
  readonly hosts: AgentHost[] = [];

  constructor(seed = 1) {
    this.random = seeded(seed);
    this.etcd = new SimCluster(this.clock);
  }

  /** A host with an uplink `eth0` and this address in 10.10.10.0/24; its agent is started. */
  agent(options: { readonly address: string }): AgentHost {
    const host = new AgentHost(this, `host${this.hosts.length}`, options.address);
    this.hosts.push(host);
    host.start();
    return host;
  }

  /** So many agents at 10.10.10.101 and up, a config, and all their routes in place. */
  async fleet(count: number): Promise<AgentHost[]> {
    this.etcd.put(CONFIG_KEY, CONFIG);
    const hosts = Array.from({ length: count }, (_, i) =>
      this.agent({ address: `10.10.10.${101 + i}` }),
    );
    await this.until('all hosts have all routes', () => this.converged);
    return hosts;
  }

  /** Every running agent is ready and has exactly the routes that etcd's leases ask of it. */
  get converged(): boolean {
    return this.hosts.every(
      (host) => !host.running || (host.ready && same(host.routes(), this.leases(host))),
    );
  }

  /** What etcd's leases ask of `host`, like `ip route` prints it. */
  leases(host: AgentHost): string[] {
    return this.etcd
      .under(SUBNETS)
      .filter(({ value }) => publicIp(value) !== host.address)
      .map(({ key, value }) => {
        const subnet = key.slice(SUBNETS.length).replace('-', '/');
        return `${subnet} via ${publicIp(value)}`;
      })
      .sort();
  }

  /** Moves the clock on, letting whatever each wake sets free run before the next. */
  async run(ms: number): Promise<void> {
    const end = this.clock.now() + ms;
    await this.#step(end, () => false);
    this.clock.advance(end - this.clock.now());
    await settle();
  }

  /** Moves the clock on until `condition` holds, at most `ms`. */
  async until(what: string, condition: () => boolean, ms = 60_000): Promise<void> {
    await this.#step(this.clock.now() + ms, condition);
    if (!condition()) assert.fail(`not within ${ms} ms: ${what}\n${this}`);
  }

  async #step(end: number, condition: () => boolean): Promise<void> {
    await settle();
    for (let wakes = 0; !condition(); wakes += 1) {
      assert.ok(wakes < WAKES_MAX, `the clock does not get on from ${this.clock.now()}\n${this}`);
      const next = this.clock.next;
      if (next === undefined || next > end) return;
      this.clock.advance(Math.max(0, next - this.clock.now()));
      await settle();
    }
  }

  async close(): Promise<void> {
    for (const host of this.hosts) await host.stop();
  }

  toString(): string {
    const keys = this.etcd.under('').map(({ key, value, lease }) => `${key} ${value} ${lease}`);
    return [`at ${this.clock.now()}`, ...keys, ...this.hosts.map(String)].join('\n');
  }
}

/** One host: what survives its agent, and the agent that runs on it. */
export class AgentHost {
  readonly name: string;
  readonly kernel = new FakeKernel();
  readonly machine: SimMachine;
  readonly etcd: SimSession;
  readonly log: CollectingLog = collectingLog();
  /** Index of the uplink. */
  device = 0;
  address: string;
  /** What agents ended with. */
  readonly errors: unknown[] = [];
  /** Prefixes that an agent of this host left without a route by deleting the last one. */
  readonly gaps: string[] = [];
  readonly #world: AgentWorld;
  #life: AbortController | undefined;
  #agent: Agent | undefined;
  #ended: Promise<void> = Promise.resolve();

  constructor(world: AgentWorld, name: string, at: string) {
    this.#world = world;
    this.name = name;
    this.address = at;
    this.machine = new SimMachine(name, this.kernel, world.clock);
    this.etcd = new SimSession(world.etcd, world.clock, world.random);
    this.plug();
  }

  get running(): boolean {
    return this.#life !== undefined;
  }

  get ready(): boolean {
    return this.#agent?.health.ready ?? false;
  }

  /** As /readyz tells it. */
  readyz(): string {
    const { ready, conditions } = this.#live.health;
    return JSON.stringify({ ready, conditions, ...this.#live.details() });
  }

  /** The subnet that the agent holds, by its own word. */
  get subnet(): string | undefined {
    const details = this.#agent?.details();
    const subnet = details !== undefined && 'subnet' in details ? details.subnet : undefined;
    return typeof subnet === 'string' ? subnet : undefined;
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
    const { clock, random } = this.#world;
    const driver = watched(this.kernel.driver(), clock, (ops) => this.#applied(ops));
    const ports = {
      clock,
      random,
      log: this.log,
      etcd: this.etcd,
      driver,
      host: this.machine,
      newLeaseId: () => String(1 + Math.floor(random() * 2 ** 40)),
    };
    this.#agent = new Agent(OPTIONS, ports, life.signal);
    this.#ended = this.#agent
      .run()
      .catch((error: unknown) => void this.errors.push(error))
      .then(() => driver.close());
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
  }

  toString(): string {
    const { state } = this.machine;
    const head = `${this.name} ${this.address} ${this.running ? this.readyz() : 'down'} ${this.etcd.line}`;
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

const same = (a: readonly string[], b: readonly string[]): boolean => a.join() === b.join();

function publicIp(value: string): unknown {
  const lease: unknown = JSON.parse(value);
  return typeof lease === 'object' && lease !== null && 'PublicIP' in lease
    ? lease.PublicIP
    : undefined;
}
