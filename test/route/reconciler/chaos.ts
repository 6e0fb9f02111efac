/**
 * Random worlds on virtual time: leases come and go, others add and remove routes, links and addresses change, the
 * driver fails in every way, the agent restarts, metrics change. Each seed makes a world of 200 steps, checked after every
 * batch (world.ts), then healed and checked at rest. SEED=n replays one world.
 */
import assert from 'node:assert/strict';
import console from 'node:console';
import { RouteMetrics } from '../../../src/route/metric.ts';
import type { KernelRoute } from '../../../src/route/types.ts';
import type { ModelKernel } from './modelKernel.ts';
import { ModelWorld, metricBy, OURS, prefix, WITHIN } from './world.ts';

const { SEED } = process.env;
const STEPS_PER_WORLD = 200;
const V4 = Array.from({ length: 8 }, (_, i) => `10.100.${i}.0/24`);
const V6 = Array.from({ length: 3 }, (_, i) => `fd01:0:${i + 1}::/64`);
const GATEWAYS4 = ['10.0.0.2', '10.0.0.3', '10.1.0.2 eth1', '192.0.2.1'];
const GATEWAYS6 = ['fd00::2', 'fd00::3', 'fd05::1'];
const METRICS = [0, 0, 0, 5, 1024, 1025];
/** ESRCH is left out: only the kernel itself can truly say it, and IPv6 siblings are judged by it. */
const ERRNOS = [1, 12, 17, 19, 22, 100, 101, 105, 113];

/** mulberry32. */
function randomOf(seed: number): () => number {
  let a = seed;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

class Chaos {
  readonly random: () => number;
  readonly world: ModelWorld;
  /** What etcd says. */
  readonly leases = new Map<string, string>();
  /** Metrics by prefix: the policy may change its mind when a lease does. */
  readonly metrics = new Map<string, number>();

  constructor(seed: number, kernel: ModelKernel) {
    this.random = randomOf(seed);
    const metric = (p: { text: string }): number => this.metrics.get(p.text) ?? 0;
    // A threshold that four gateways cross up and down, or a metric for each prefix that changes when its lease does.
    const metrics =
      this.random() < 0.5
        ? new RouteMetrics('auto', [{ above: 2, below: 2, metrics: 8 }])
        : metricBy(metric);
    this.world = new ModelWorld({ random: this.random, metrics }, kernel);
  }

  pick<T>(list: readonly T[]): T {
    const item = list[Math.floor(this.random() * list.length)];
    assert.ok(item !== undefined);
    return item;
  }

  pickPrefix(): string {
    return this.pick(this.random() < 0.75 ? V4 : V6);
  }

  step(): void {
    const kinds: readonly [number, () => void][] = [
      [20, () => this.changeLease()],
      [2, () => this.snapshot()],
      [12, () => this.foreign()],
      [8, () => this.vandal()],
      [4, () => this.links()],
      [6, () => this.arm()],
      [4, () => this.tear()],
      [2, () => this.restart()],
      [1, () => this.world.send({ type: 'confirm' })],
      [2, () => this.within()],
      [3, () => this.tellLinks()],
      [25, () => this.world.carryOut()],
      [25, () => this.world.deliver()],
      [15, () => this.world.deliverHint()],
      [15, () => this.time()],
      [10, () => this.world.run(this.random() * 100)],
    ];
    let roll = this.random() * kinds.reduce((sum, [weight]) => sum + weight, 0);
    for (const [weight, act] of kinds) {
      roll -= weight;
      if (roll >= 0) continue;
      act();
      return;
    }
  }

  changeLease(): void {
    const key = this.pickPrefix();
    if (this.random() < 0.35) this.leases.delete(key);
    else this.leases.set(key, this.pick(V4.includes(key) ? GATEWAYS4 : GATEWAYS6));
    if (this.random() < 0.1) this.metrics.set(key, this.pick(METRICS));
    this.world.want({ [key]: this.leases.get(key) }, this.random() < 0.5);
  }

  /** Everything anew, sometimes after a mass change. */
  snapshot(): void {
    if (this.random() < 0.3) for (const key of [...V4, ...V6]) this.leases.delete(key);
    const all = [...V4, ...V6].map((key) => [key, this.leases.get(key)] as const);
    this.world.want(Object.fromEntries(all));
  }

  foreign(): void {
    const key = this.pickPrefix();
    const via = this.random() < 0.6 ? this.leases.get(key) : undefined;
    const [gateway = '', device] = (
      via ?? this.pick(V4.includes(key) ? GATEWAYS4 : GATEWAYS6)
    ).split(' ');
    const { route } = this.world.change(key, gateway);
    const protocol = this.pick([3, 3, 3, 4, 16, OURS]);
    try {
      this.world.kernel.foreignAdd({
        prefix: prefix(key),
        ...(route && { gateway: route.gateway }),
        device: device === 'eth1' ? this.world.eth1 : this.world.eth0,
        protocol,
        metric: this.pick(METRICS),
        // IPv6 routes have no tos; a route of ours with one is not of the form that we write.
        tos: protocol !== OURS && V4.includes(key) && this.random() < 0.05 ? 8 : 0,
      });
    } catch {
      // It is there already.
    }
  }

  vandal(): void {
    const protocol = this.pick([OURS, 3, 4, 16]);
    this.world.kernel.foreignDelete({ prefix: prefix(this.pickPrefix()), protocol });
  }

  links(): void {
    const { kernel, eth0, eth1 } = this.world;
    const device = this.pick([eth0, eth1]);
    const link = kernel.links().find(({ index }) => index === device);
    assert.ok(link);
    const text = device === eth0 ? '10.0.0.1/24' : '10.1.0.1/24';
    const roll = this.random();
    if (roll < 0.4) kernel.setLink(device, { up: !link.up });
    else if (roll < 0.6) kernel.setLink(device, { carrier: !link.carrier });
    else if (roll < 0.8) kernel.removeAddress(device, text);
    else this.addAddress(device, text);
  }

  addAddress(device: number, text: string): void {
    this.world.kernel.removeAddress(device, text);
    this.world.kernel.addAddress(device, text);
  }

  arm(): void {
    const { failures } = this.world.kernel;
    const roll = this.random();
    if (roll < 0.5)
      failures.next({ kind: 'op', nth: this.pick([1, 2, 3]), errno: this.pick(ERRNOS) });
    else if (roll < 0.7)
      failures.next({ kind: 'unknown', when: this.pick(['before', 'half', 'after']) });
    else if (roll < 0.85) failures.next({ kind: 'apply' });
    else failures.next({ kind: 'dump' });
  }

  /** The next dump shows an IPv6 route twice, or not at all. */
  tear(): void {
    const rows = this.world.kernel.routes().filter(({ prefix: p }) => V6.includes(p.text));
    if (rows.length === 0) return;
    const { prefix: torn, metric } = this.pick(rows);
    this.world.tear = { key: torn.text, metric, shows: this.pick(['twice', 'never']) };
  }

  restart(): void {
    this.world.restart();
    if (this.random() < 0.7) this.snapshot();
  }

  within(): void {
    const prefixes = this.random() < 0.5 ? WITHIN : [...WITHIN, prefix('10.101.0.0/16')];
    this.world.send({ type: 'within', prefixes });
  }

  tellLinks(): void {
    this.world.send({ type: 'links', links: this.world.kernel.links() });
  }

  time(): void {
    this.world.now += this.pick([1, 5, 20, 100, 1_000, 11_000, 601_000]) * this.random();
    this.world.send({ type: 'timer' });
  }

  /** Everything works again; after enough time the kernel must be as wanted. */
  heal(): void {
    const { world } = this;
    const { kernel, eth0, eth1 } = world;
    for (const { kind } of [...kernel.failures.waiting]) kernel.failures.take(kind);
    for (const device of [eth0, eth1]) kernel.setLink(device, { up: true, carrier: true });
    this.addAddress(eth0, '10.0.0.1/24');
    this.addAddress(eth0, 'fd00::1/64');
    this.addAddress(eth1, '10.1.0.1/24');
    this.snapshot();
    this.tellLinks();
    // What a torn dump hid is found by the next one, which the agent asks for now and then.
    world.tear = undefined;
    world.send({ type: 'hint', links: false, addresses: false, routes: true });
    world.outputs.length = 0;
    world.run(700_000);
    assert.equal(world.said('settled').at(-1)?.complete, true);
  }

  checkAtRest(): void {
    const { world } = this;
    for (const key of [...V4, ...V6]) {
      const rows = world.kernel.routes().filter((r) => r.prefix.text === key);
      // A dump shows IPv6 siblings with the first one's protocol: after a restart ours behind a rival's cannot be seen.
      const lead = (r: KernelRoute): KernelRoute | undefined =>
        V6.includes(key) ? rows.find(({ metric }) => metric === r.metric) : r;
      const own = rows.filter((r) => r.protocol === OURS && lead(r)?.protocol === OURS);
      const lease = this.leases.get(key);
      const state = world.state(key);
      const where = `${key} ${lease} ${state} ${world.states.get(key)?.reason}\n${world.kernel}`;
      if (lease === undefined) {
        assert.equal(own.length, 0, `nobody wants ${where}`);
        assert.equal(state, undefined, `nothing to say about ${where}`);
        continue;
      }
      const onLink = !['192.0.2.1', 'fd05::1'].includes(lease);
      const rival = rows.some((r) => r.protocol !== OURS && r.tos === 0);
      if (state === 'conflict') assert.ok(rival, `no rival: ${where}`);
      else if (state === 'installed') {
        assert.equal(own.length, 1, where);
        assert.equal(own[0]?.gateway?.text, lease.split(' ')[0], where);
      } else if (onLink) assert.fail(`not installed: ${where}`);
      else assert.equal(state, 'off-link', where);
    }
  }
}

function runWorld(seed: number, kernel: ModelKernel): void {
  const chaos = new Chaos(seed, kernel);
  try {
    for (let i = 0; i < STEPS_PER_WORLD; i += 1) chaos.step();
    chaos.heal();
    chaos.checkAtRest();
  } catch (error) {
    throw new Error(`SEED=${seed} replays this`, { cause: error });
  }
}

/** Runs worlds of `steps` steps in all, each on a kernel of its own. */
export function runWorlds(steps: number, open: () => ModelKernel & { close?(): void }): void {
  const seed = SEED === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(SEED);
  const worlds = SEED === undefined ? Math.ceil(steps / STEPS_PER_WORLD) : 1;
  console.log(`${worlds} worlds, seeds from ${seed}`);
  for (let i = 0; i < worlds; i += 1) {
    const kernel = open();
    try {
      runWorld(seed + i, kernel);
    } finally {
      kernel.close?.();
    }
  }
}
