/**
 * Everything that may happen to a fleet of agents, one fault at a time. A seed draws how often each kind strikes, some
 * never and others all the time: what hides where everything happens now and then shows where one thing never stops.
 */
import { type AgentHost, type AgentWorld, CONFIG_KEY } from '../support/agentWorld.ts';
import type { CallName } from '../support/simLine.ts';
import { Acts } from './acts.ts';

type Strike = readonly [name: string, happen: () => unknown];
/** Kinds of faults, each drawn by its weight; then one of the kind, each as likely as the others. */
type Catalogue = Readonly<Record<string, readonly Strike[]>>;

const CALLS: readonly CallName[] = [
  ...(['list', 'compare', 'get', 'transact', 'transact', 'grant', 'keepAlive', 'watch'] as const),
];
const EIO = 5;
const DAY_MS = 86_400_000;
const OFF = 0.35;

export class Faults {
  readonly #world: AgentWorld;
  readonly #config: string;
  readonly #acts: Acts;
  readonly #weights = new Map<string, number>();
  /** What happened, to be read after a failure. */
  readonly story: string[] = [];
  /** Kinds that struck. */
  readonly struck = new Set<string>();
  #restore: ReturnType<AgentWorld['etcd']['backup']>;

  /** `config` is the text under which the world began, and will end. */
  constructor(world: AgentWorld, config: string) {
    this.#world = world;
    this.#config = config;
    this.#acts = new Acts(world, config);
    this.#restore = world.etcd.backup();
    for (const kind of Object.keys(this.#about(this.#acts.pick(world.hosts)))) {
      const weight = world.random() < OFF ? 0 : 10 ** (2 * world.random());
      this.#weights.set(kind, weight);
    }
  }

  /** The kinds and their weights in this run. */
  get weights(): string {
    return Array.from(this.#weights, ([kind, weight]) => `${kind} ${weight.toFixed(0)}`).join(', ');
  }

  /** Lets one thing happen. */
  async strike(): Promise<void> {
    const host = this.#acts.pick(this.#world.hosts);
    const catalogue = this.#about(host);
    const kind = this.#draw();
    const [name, happen] = this.#acts.pick(catalogue[kind] ?? []);
    this.struck.add(kind);
    this.#note(`${host.name} ${name}`);
    await happen();
  }

  /** Ends every fault. What no agent can mend is mended: links, strangers' keys, the config. */
  heal(): void {
    const { hosts } = this.#world;
    this.#note('all is healed');
    this.#acts.mend();
    for (const host of hosts) {
      host.clock.thaw();
      host.machine.diskTrouble = undefined;
      host.kernel.failures.disarm();
      host.etcd.line.heal();
      host.etcd.spoil('cut');
      this.#acts.clearWay(host);
      this.#acts.plug(host);
      if (!host.running) host.start();
    }
  }

  #about(host: AgentHost): Catalogue {
    return {
      ...this.#ofAgent(host),
      ...this.#ofLine(host),
      ...this.#ofEtcd(host),
      ...this.#ofKernel(host),
    };
  }

  #ofAgent(host: AgentHost): Catalogue {
    const restart = async (): Promise<void> => {
      await host.kill();
      host.start();
    };
    return {
      crash: [
        ['is killed', () => host.kill()],
        ['is killed and starts again', restart],
        ['is stopped', () => host.stop()],
        ['reboots', () => host.reboot().then(() => host.start())],
        ['starts', () => host.running || host.start()],
        ['starts', () => host.running || host.start()],
      ],
      freeze: [['is frozen', () => host.clock.freeze(this.#pause(10_000))]],
      clock: [
        ['has its clock set ahead', () => host.clock.jump(this.#pause(3 * DAY_MS))],
        ['has its clock set back', () => host.clock.jump(-this.#pause(3 * DAY_MS))],
      ],
      disk: [
        ['has its disk full', () => (host.machine.diskTrouble = 'no space left on device')],
        ['has a disk again', () => (host.machine.diskTrouble = undefined)],
      ],
      reimaged: [
        ['is installed anew', () => this.#acts.reimage(host)],
        ['has its state lost', () => host.forget().then(() => host.start())],
      ],
      address: [['has another address', () => this.#acts.move(host)]],
      swap: [['swaps its address with another', () => this.#acts.swap(host)]],
    };
  }

  #ofLine(host: AgentHost): Catalogue {
    const all = (state: 'up' | 'silent' | 'refused') => () => {
      for (const each of this.#world.hosts) each.etcd.setLine(state);
    };
    const lose = (what: 'request' | 'answer' | 'late'): Strike => [
      `loses the next ${what === 'late' ? 'answer, and etcd is late' : what}`,
      () => host.etcd.lose(this.#acts.pick(CALLS), what),
    ];
    return {
      loss: [lose('request'), lose('answer'), lose('late')],
      slow: [
        ['has a slow line', () => (host.etcd.line.latencyMs = this.#pause(4_000))],
        ['has a quick line', () => (host.etcd.line.latencyMs = 1)],
      ],
      line: [
        ['hears nothing of etcd', () => host.etcd.setLine('silent')],
        ['is refused by etcd', () => host.etcd.setLine('refused')],
        ['has etcd back', () => host.etcd.setLine('up')],
      ],
      partition: [
        ['and all others hear nothing of etcd', all('silent')],
        ['and all others are refused by etcd', all('refused')],
        ['and all others have etcd back', all('up')],
      ],
      stream: [
        ['has a watch that stalls', () => host.etcd.spoil('dumb')],
        ['has its watch cut', () => host.etcd.spoil('cut')],
      ],
    };
  }

  #ofEtcd(host: AgentHost): Catalogue {
    const { etcd } = this.#world;
    const lease = host.machine.state?.etcdLease ?? '0';
    return {
      expiry: [
        ['has its lease expire', () => etcd.store.revoke(lease)],
        [
          'and all others have their leases expire',
          () => etcd.store.leases.map((id) => etcd.store.revoke(id)),
        ],
      ],
      compaction: [['sees etcd compacted', () => etcd.compact()]],
      member: [['sees etcd restarted', () => etcd.restart()]],
      restore: [
        ['sees etcd backed up', () => (this.#restore = etcd.backup())],
        ['sees etcd restored', () => this.#restore('new-id')],
        ['sees etcd restored under its old id', () => this.#restore('same-id')],
      ],
      wipe: [
        ['sees etcd wiped', () => etcd.wipe('new-id')],
        ['sees etcd wiped and set up anew', () => this.#acts.wipe()],
      ],
      operator: [
        ['has its key deleted', () => etcd.delete(host.key)],
        ['and all others have their keys deleted', () => this.#acts.deleteAll()],
        ['has its key overwritten', () => this.#acts.overwrite(host)],
        ['has its key put again by hand', () => this.#acts.rewrite(host)],
      ],
      config: [
        ['sees the config wrong', () => etcd.put(CONFIG_KEY, '{"Network":"10.100.0.0/16"}')],
        ['sees the config deleted', () => etcd.delete(CONFIG_KEY)],
        ['sees the config back', () => etcd.put(CONFIG_KEY, this.#config)],
        ['sees the config said otherwise', () => etcd.put(CONFIG_KEY, ` ${this.#config}`)],
      ],
      hostile: [['sees a hostile lease', () => this.#acts.hostile()]],
    };
  }

  #ofKernel(host: AgentHost): Catalogue {
    const { kernel } = host;
    return {
      rival: [
        ['has a route deleted', () => this.#acts.deleteRoute(host)],
        ['has a rival in the way', () => this.#acts.obstruct(host)],
        ['has no rival', () => this.#acts.clearWay(host)],
      ],
      link: [
        ['is unplugged', () => host.unplug()],
        ['has its link down', () => host.plugged && kernel.setLink(host.device, { up: false })],
        ['is plugged in', () => this.#acts.plug(host)],
        ['is plugged in', () => this.#acts.plug(host)],
      ],
      driver: [
        ['has a write fail', () => kernel.failures.next({ kind: 'op', nth: 1, errno: EIO })],
        ['has a batch unknown', () => kernel.failures.next({ kind: 'unknown', when: 'half' })],
        ['has a batch refused', () => kernel.failures.next({ kind: 'apply' })],
        ['has a dump fail', () => kernel.failures.next({ kind: 'dump' })],
        ['has an old dump', () => kernel.failures.next({ kind: 'stale-dump' })],
      ],
    };
  }

  /** From 1 up to `max`, the short ones as likely as the long ones. */
  #pause(max: number): number {
    return Math.floor(max ** this.#world.random());
  }

  #draw(): string {
    const kinds = [...this.#weights];
    let left = this.#world.random() * kinds.reduce((sum, [, weight]) => sum + weight, 0);
    for (const [kind, weight] of kinds) {
      if (left < weight) return kind;
      left -= weight;
    }
    return 'crash';
  }

  #note(what: string): void {
    this.story.push(`${this.#world.clock.now().toFixed(0)} ${what}`);
  }
}
