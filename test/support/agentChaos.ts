/** Everything that may happen to a fleet of agents, one event at a time, and the end of all of it. */
import { type AgentHost, type AgentWorld, CONFIG, CONFIG_KEY } from './agentWorld.ts';
import { address, prefix } from './leases.ts';
import type { CallName } from './simLine.ts';

type Event = readonly [name: string, happen: () => unknown];

/** Somebody else's routes, in the way of ours. */
export const RIVAL_PROTOCOL = 186;
const RIVAL_GATEWAY = address('10.10.10.250');
const CALLS: readonly CallName[] = [
  ...(['list', 'compare', 'get'] as const),
  ...(['transact', 'grant', 'keepAlive', 'watch'] as const),
];
const EIO = 5;

export class Chaos {
  readonly #world: AgentWorld;
  /** What happened, to be read after a failure. */
  readonly story: string[] = [];
  /** Keys that were taken out of etcd one by one: a loss that is to be believed. */
  readonly deleted = new Set<string>();
  /** Hosts that know nothing of a time before etcd was wiped: they cannot tell whom the routes that they find lead to. */
  readonly forgetful = new Set<AgentHost>();
  #wiped = false;
  /** No address is used twice: hosts that take each other's are another story. */
  #lastAddress = 110;

  constructor(world: AgentWorld) {
    this.#world = world;
  }

  /** Lets one thing happen. */
  async strike(): Promise<void> {
    const host = this.#pick(this.#world.hosts);
    const [name, happen] = this.#pick([
      ...this.#toAgent(host),
      ...this.#toKernel(host),
      ...this.#toEtcd(host),
    ]);
    this.story.push(`${this.#world.clock.now()} ${host.name} ${name}`);
    await happen();
  }

  /** Ends every fault. */
  heal(): void {
    const { clock, etcd, hosts } = this.#world;
    this.story.push(`${clock.now()} all is healed`);
    if (etcd.store.get(CONFIG_KEY)?.value !== CONFIG) etcd.put(CONFIG_KEY, CONFIG);
    for (const host of hosts) {
      host.etcd.setLine('up');
      this.#clearWay(host);
      this.#plug(host);
      if (!host.running) this.#start(host);
    }
  }

  #toAgent(host: AgentHost): Event[] {
    return [
      ['stops or starts', () => (host.running ? host.stop() : this.#start(host))],
      ['is killed and starts again', () => host.kill().then(() => this.#start(host))],
      ['is stopped and starts again', () => host.stop().then(() => this.#start(host))],
      ['hears nothing of etcd', () => host.etcd.setLine('silent')],
      ['is refused by etcd', () => host.etcd.setLine('refused')],
      ['has etcd back', () => host.etcd.setLine('up')],
      ['loses a request', () => host.etcd.lose(this.#pick(CALLS), 'request')],
      ['loses an answer', () => host.etcd.lose(this.#pick(CALLS), 'answer')],
    ];
  }

  #toKernel(host: AgentHost): Event[] {
    const { kernel } = host;
    return [
      ['has a route deleted', () => this.#deleteRoute(host)],
      ['has a rival in the way', () => this.#obstruct(host)],
      ['has no rival', () => this.#clearWay(host)],
      ['moves', () => this.#move(host)],
      ['is unplugged', () => host.unplug()],
      ['is plugged in', () => this.#plug(host)],
      ['has its link down', () => host.plugged && kernel.setLink(host.device, { up: false })],
      ['has a write fail', () => kernel.failures.next({ kind: 'op', nth: 1, errno: EIO })],
      ['has a batch unknown', () => kernel.failures.next({ kind: 'unknown', when: 'half' })],
      ['has a batch refused', () => kernel.failures.next({ kind: 'apply' })],
      ['has a dump fail', () => kernel.failures.next({ kind: 'dump' })],
      ['has an old dump', () => kernel.failures.next({ kind: 'stale-dump' })],
    ];
  }

  #toEtcd(host: AgentHost): Event[] {
    const { etcd } = this.#world;
    const lease = host.machine.state?.etcdLease ?? '0';
    return [
      ['has its key deleted', () => this.#lose(host, () => etcd.delete(host.key))],
      ['has its lease expire', () => this.#lose(host, () => etcd.store.revoke(lease))],
      ['sees the config wrong', () => etcd.put(CONFIG_KEY, '{"Network":"10.100.0.0/16"}')],
      ['sees the config deleted', () => etcd.delete(CONFIG_KEY)],
      ['sees the config back', () => etcd.put(CONFIG_KEY, CONFIG)],
      ['sees etcd compacted', () => etcd.compact()],
      ['sees etcd wiped', () => this.#wipe()],
    ];
  }

  #start(host: AgentHost): void {
    if (this.#wiped && !remembers(host)) this.forgetful.add(host);
    host.start();
  }

  #wipe(): void {
    const { etcd, hosts } = this.#world;
    this.#wiped = true;
    for (const host of hosts) if (host.subnet === undefined) this.forgetful.add(host);
    etcd.wipe();
  }

  #lose({ key }: AgentHost, how: () => void): void {
    this.deleted.add(key);
    how();
  }

  #deleteRoute(host: AgentHost): void {
    const [route] = host.routes();
    if (route !== undefined)
      host.kernel.foreignDelete({ prefix: prefix(route.split(' ')[0] ?? '') });
  }

  /** In the way of a route that is not there now: else it would only stand behind ours. */
  #obstruct(host: AgentHost): void {
    const other = this.#pick(this.#world.hosts).machine.state?.subnet;
    if (other === undefined || !host.plugged) return;
    const obstacle = {
      prefix: prefix(other.replace('-', '/')),
      gateway: RIVAL_GATEWAY,
      device: host.device,
      protocol: RIVAL_PROTOCOL,
    };
    const there = host.kernel.routes().some((route) => route.prefix.text === obstacle.prefix.text);
    if (!there) host.kernel.foreignAdd(obstacle);
  }

  #clearWay({ kernel }: AgentHost): void {
    for (const route of kernel.routes())
      if (route.protocol === RIVAL_PROTOCOL) kernel.foreignDelete(route);
  }

  #move(host: AgentHost): void {
    this.#lastAddress += 1;
    const to = `10.10.10.${this.#lastAddress}`;
    if (host.plugged) host.move(to);
    else host.address = to;
  }

  #plug(host: AgentHost): void {
    if (!host.plugged) {
      host.plug();
      return;
    }
    host.kernel.setLink(host.device, { up: true });
    host.routeByDefault();
  }

  #pick<T>(list: readonly T[]): T {
    const picked = list[Math.floor(this.#world.random() * list.length)];
    if (picked === undefined) throw new Error('nothing to pick from');
    return picked;
  }
}

/** Whether the view on the host's disk has a lease for each route that an agent left there. */
function remembers(host: AgentHost): boolean {
  const keys = host.machine.view?.entries.map(({ key }) => key) ?? [];
  return host.routes().every((route) => {
    const name = (route.split(' ')[0] ?? '').replace('/', '-');
    return keys.some((key) => key.endsWith(`/${name}`));
  });
}
