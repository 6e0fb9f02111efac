/**
 * Whole agents in one process: real agents, each on a fake kernel and a machine of its own, over one simulated etcd and
 * one clock that only the test moves. A seed draws all chance, so a run can be replayed.
 */
import assert from 'node:assert/strict';
import type { AgentOptions } from '../../src/config/index.ts';
import type { Random } from '../../src/core/index.ts';
import { AgentHost, OPTIONS, SUBNETS } from './agentHost.ts';
import { ManualClock } from './clock.ts';
import { seeded } from './seeded.ts';
import { SimCluster } from './simCluster.ts';

export { AgentHost, OPTIONS, SUBNETS } from './agentHost.ts';

export const CONFIG_KEY = `${OPTIONS.etcdPrefix}/config`;
export const CONFIG = '{"Network":"10.100.0.0/16","Backend":{"Type":"host-gw"}}';
/** Far above what any moment needs: past it, two things keep waking each other. */
const WAKES_MAX = 10_000;

/** Lets every promise that can go on without the clock go on: a macrotask begins when no microtask is left. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

export class AgentWorld {
  readonly clock = new ManualClock();
  readonly random: Random;
  readonly etcd: SimCluster;
  readonly hosts: AgentHost[] = [];
  readonly options: AgentOptions;
  /** Called after each wake, when all that it set free has run. */
  onStep: () => void = () => {};

  constructor(seed = 1, options: Partial<AgentOptions> = {}) {
    this.random = seeded(seed);
    this.options = { ...OPTIONS, ...options };
    this.etcd = new SimCluster(this.clock);
  }

  /** A host with an uplink `eth0` and this address in 10.10.10.0/24; its agent is started. */
  agent(options: { readonly address: string }): AgentHost {
    const host = this.place(options);
    host.start();
    return host;
  }

  /** The same, whose agent is not started. */
  place(options: { readonly address: string }): AgentHost {
    const host = new AgentHost(this, `host${this.hosts.length}`, options.address);
    this.hosts.push(host);
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

  /** Moves the clock on by so many wakes. */
  async wakes(count: number): Promise<void> {
    let left = count;
    await this.#step(Infinity, () => left-- <= 0);
  }

  /** Moves the clock on until `condition` holds, at most `ms`. */
  async until(what: string, condition: () => boolean, ms = 60_000): Promise<void> {
    await this.#step(this.clock.now() + ms, condition);
    if (!condition()) assert.fail(`not within ${ms} ms: ${what}\n${this}`);
  }

  async #step(end: number, condition: () => boolean): Promise<void> {
    await settle();
    for (let wakes = 0; !condition(); wakes += 1) {
      const next = this.clock.next;
      if (next === undefined || next > end) return;
      if (next > this.clock.now()) wakes = 0;
      if (wakes >= WAKES_MAX)
        assert.fail(`the clock does not get on from ${this.clock.now()}\n${this}`);
      this.clock.advance(Math.max(0, next - this.clock.now()));
      await settle();
      this.onStep();
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

const same = (a: readonly string[], b: readonly string[]): boolean => a.join() === b.join();

function publicIp(value: string): unknown {
  const lease: unknown = JSON.parse(value);
  return typeof lease === 'object' && lease !== null && 'PublicIP' in lease
    ? lease.PublicIP
    : undefined;
}
