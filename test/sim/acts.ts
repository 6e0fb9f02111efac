/** What a fault does to hosts and to etcd, where it takes more than a word; and the way back from it. */
import { type AgentHost, type AgentWorld, CONFIG_KEY, SUBNETS } from '../support/agentWorld.ts';
import { address, prefix } from '../support/leases.ts';
import { HOSTILE, leaseText } from './hostile.ts';
import { ownerOf } from './oracle.ts';

const RIVAL_PROTOCOL = 186;
const RIVAL_GATEWAY = address('10.10.10.250');
const STRANGER = '10.10.10.240';

export class Acts {
  readonly #world: AgentWorld;
  readonly #config: string;
  /** Keys that a stranger has written. */
  readonly #strange = new Set<string>();
  #lastAddress = 110;

  constructor(world: AgentWorld, config: string) {
    this.#world = world;
    this.#config = config;
  }

  pick<T>(list: readonly T[]): T {
    const picked = list[Math.floor(this.#world.random() * list.length)];
    if (picked === undefined) throw new Error('nothing to pick from');
    return picked;
  }

  /** Takes strangers' keys away, and puts the config back. */
  mend(): void {
    const { etcd, hosts } = this.#world;
    // A hostile lease may lie on a host's subnet by chance.
    for (const key of [...this.#strange, ...hosts.map(({ key }) => key)]) {
      const entry = etcd.store.get(key);
      if (entry !== undefined && ownerOf(hosts, entry) === undefined) etcd.delete(key);
    }
    if (etcd.store.get(CONFIG_KEY)?.value !== this.#config) etcd.put(CONFIG_KEY, this.#config);
  }

  async reimage(host: AgentHost): Promise<void> {
    await host.reimage();
    host.start();
  }

  move(host: AgentHost, to = this.#freshAddress()): void {
    if (host.plugged) host.move(to);
    else host.address = to;
  }

  /** By way of a third address: no moment has one address twice. */
  swap(host: AgentHost): void {
    const other = this.pick(this.#world.hosts.filter((each) => each !== host));
    const { address: mine } = host;
    const { address: theirs } = other;
    this.move(host);
    this.move(other, mine);
    this.move(host, theirs);
  }

  wipe(): void {
    const { etcd, random } = this.#world;
    etcd.wipe('same-id');
    for (let writes = random() * 40; writes > 0; writes -= 1) etcd.put('/elsewhere', 'x');
    etcd.put(CONFIG_KEY, this.#config);
  }

  deleteAll(): void {
    const { etcd } = this.#world;
    for (const { key } of etcd.under(SUBNETS)) etcd.delete(key);
  }

  /** Another host that knows no rules, at an address that nobody has. */
  overwrite({ key }: AgentHost): void {
    this.#strange.add(key);
    this.#world.etcd.put(key, leaseText(STRANGER));
  }

  /** As an operator does who saved the values: the key no longer hangs on an etcd lease. */
  rewrite({ key }: AgentHost): void {
    const entry = this.#world.etcd.store.get(key);
    if (entry === undefined) return;
    this.#strange.add(key);
    this.#world.etcd.put(key, entry.value);
  }

  hostile(): void {
    const [name, value] = this.pick(HOSTILE);
    this.#world.etcd.put(SUBNETS + name, value);
  }

  deleteRoute(host: AgentHost): void {
    const [route] = host.routes();
    if (route !== undefined)
      host.kernel.foreignDelete({ prefix: prefix(route.split(' ')[0] ?? '') });
  }

  /** In the way of a route that is not there now: else it would only stand behind ours. */
  obstruct(host: AgentHost): void {
    const other = this.pick(this.#world.hosts).machine.state?.subnet;
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

  clearWay({ kernel }: AgentHost): void {
    for (const route of kernel.routes())
      if (route.protocol === RIVAL_PROTOCOL) kernel.foreignDelete(route);
  }

  plug(host: AgentHost): void {
    if (!host.plugged) return host.plug();
    host.kernel.setLink(host.device, { up: true });
    host.routeByDefault();
  }

  #freshAddress(): string {
    this.#lastAddress += 1;
    return `10.10.10.${this.#lastAddress}`;
  }
}
