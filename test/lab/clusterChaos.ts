/**
 * What may befall agents and an etcd cluster on real hosts, drawn by a seed: each fault begins, lasts for a while and is
 * mended. `run` lets faults happen for some time, mends all, and gives the moment from which it is quiet.
 */
import type { Host, Lab, LabProcess } from '../../src/lab/index.ts';
import { until } from '../support/until.ts';
import { lease, SUBNETS } from './enemy.ts';
import { type Cluster, leaderOf, type Member, mend, partition } from './members.ts';

/** An agent's host, and the agent that runs there now. */
export interface Seat {
  readonly host: Host;
  agent: LabProcess;
  /** We ended it. */
  killed: boolean;
}

type Mend = () => Promise<unknown>;
/** Begins something; what it gives mends it. */
type Fault = readonly [name: string, begin: () => Promise<Mend | undefined>];

const FAULTS_AT_ONCE = 4;
/** Believed leases that nobody holds, and that come and go: so few that losing some is never a mass loss. */
const GUESTS = 12;
const GUEST_DELETES_EVERY_MS = 6_000;

const HOSTILE: readonly (readonly [name: string, gateway: string])[] = [
  ['0.0.0.0-0', '10.10.10.77'],
  ['10.10.10.0-24', '10.10.10.77'],
  ['10.100.0.0-16', '10.10.10.77'],
  ['10.100.230.0-25', '10.10.10.77'],
  ['10.100.231.0-24', '127.0.0.1'],
  ['10.100.232.0-24', '224.0.0.9'],
  ['10.100.233.0-24', '10.10.10.255'],
  ['10.100.234.0-24', '192.0.2.7'],
  ['10.101.1.0-24', '10.10.10.77'],
  ['junk', '{'],
];

export const guestName = (index: number): string => `10.100.${200 + index}.0-24`;
const guestGateway = (index: number): string => `10.10.10.${150 + index}`;

export class ClusterChaos {
  readonly story: string[] = [];
  readonly #lab: Lab;
  readonly #cluster: Cluster;
  readonly #seats: readonly Seat[];
  readonly #random: () => number;
  readonly #begun = performance.now();
  /** What is broken: by target, with when and how it is mended. */
  readonly #broken = new Map<string, { readonly at: number; readonly mend: Mend }>();
  /** What was asked of etcd and may take until there is a quorum. */
  #asked: Promise<unknown>[] = [];
  #guestDeletedAt = 0;

  constructor(cluster: Cluster, seats: readonly Seat[], random: () => number) {
    this.#lab = cluster.lab;
    this.#cluster = cluster;
    this.#seats = seats;
    this.#random = random;
  }

  /** Faults for `ms`, then none; resolves with the time (performance.now) from which all is mended. */
  async run(ms: number): Promise<number> {
    const end = performance.now() + ms;
    while (performance.now() < end) {
      await this.#strike();
      await this.#mendDue(performance.now());
      const next = performance.now() + 100 + this.#random() * 500;
      await until('the next fault is due', () => performance.now() >= next, 60_000);
    }
    await this.#mendDue(Infinity);
    this.#tell('all is mended');
    await Promise.all(this.#asked.splice(0));
    await leaderOf(this.#cluster.members);
    return performance.now();
  }

  async #strike(): Promise<void> {
    const seat = this.#pick(this.#seats);
    const member = this.#pick(this.#cluster.members);
    const toSeat = this.#free(seat.host.name, this.#toSeat(seat));
    const toMember = this.#free(member.host.name, this.#toMember(member));
    const [name, begin] = this.#pick([
      ...toSeat,
      ...toMember,
      ...this.#toEtcd(),
      ...this.#toKernel(),
    ]);
    this.#tell(name);
    const target = toSeat.some(([other]) => other === name) ? seat.host.name : member.host.name;
    const mendIt = await begin();
    if (mendIt === undefined) return;
    const at = performance.now() + 300 + this.#random() * 5_000;
    this.#broken.set(target, { at, mend: mendIt });
  }

  /** One fault at a time for each target, and few in all. */
  #free(target: string, faults: Fault[]): Fault[] {
    return this.#broken.has(target) || this.#broken.size >= FAULTS_AT_ONCE ? [] : faults;
  }

  async #mendDue(now: number): Promise<void> {
    for (const [target, { at, mend: mendIt }] of [...this.#broken]) {
      if (at > now) continue;
      this.#broken.delete(target);
      this.#tell(`${target} is mended`);
      await mendIt();
    }
  }

  #toSeat(seat: Seat): Fault[] {
    const { host } = seat;
    const port = `to-${host.name}`;
    return [
      [`${host.name}: agent killed`, () => this.#end(seat, 'SIGKILL')],
      [`${host.name}: agent stopped`, () => this.#end(seat, 'SIGTERM')],
      [`${host.name}: agent frozen`, () => this.#freeze(seat.agent)],
      [
        `${host.name}: cut off`,
        async () => {
          await this.#lab.run(['ip', 'link', 'set', port, 'nomaster']);
          return () => this.#lab.run(['ip', 'link', 'set', port, 'master', 'lan']);
        },
      ],
      [
        `${host.name}: uplink down`,
        async () => {
          await host.must(['ip', 'link', 'set', 'eth0', 'down']);
          return async () => {
            await host.must(['ip', 'link', 'set', 'eth0', 'up']);
            await host.must(['ip', 'route', 'replace', 'default', 'via', '10.10.10.1']);
          };
        },
      ],
    ];
  }

  #toMember(member: Member): Fault[] {
    const { host, running } = member;
    if (!running) return [];
    return [
      [
        `${host.name}: etcd killed`,
        async () => {
          await member.kill();
          // Ready only with a quorum, which may need others mended.
          return async () => this.#ask(member.start());
        },
      ],
      [`${host.name}: etcd frozen`, () => this.#freeze(member.process)],
      [
        `${host.name}: etcd cut off from the others`,
        async () => {
          await partition(host);
          return () => mend(host);
        },
      ],
    ];
  }

  #toEtcd(): Fault[] {
    const { members } = this.#cluster;
    const member = this.#pick(members);
    const seat = this.#pick(this.#seats);
    const guest = Math.floor(this.#random() * GUESTS);
    const [name, gateway] = this.#pick(HOSTILE);
    const value = gateway === '{' ? gateway : lease(gateway);
    const faults: Fault[] = [
      ['history compacted', async () => this.#ask(member.compact())],
      [`hostile lease ${name}`, async () => this.#ask(member.ctl(['put', SUBNETS + name, value]))],
      [
        `guest ${guest} comes`,
        async () =>
          this.#ask(member.ctl(['put', SUBNETS + guestName(guest), lease(guestGateway(guest))])),
      ],
      [`key of ${seat.host.name} deleted`, async () => this.#ask(deleteKeyOf(member, seat.host))],
    ];
    if (performance.now() > this.#guestDeletedAt + GUEST_DELETES_EVERY_MS)
      faults.push([
        `guest ${guest} goes`,
        async () => {
          this.#guestDeletedAt = performance.now();
          return this.#ask(member.ctl(['del', SUBNETS + guestName(guest)]));
        },
      ]);
    return faults;
  }

  #toKernel(): Fault[] {
    const { host } = this.#pick(this.#seats);
    return [
      [
        `${host.name}: a route deleted by hand`,
        async () => {
          const { stdout } = await host.run(['ip', 'route', 'show', 'proto', '104']);
          const line = this.#pick(stdout.trim().split('\n'));
          if (line !== '')
            await host.run(['ip', 'route', 'del', ...line.trim().split(/\s+/).slice(0, 5)]);
          return undefined;
        },
      ],
    ];
  }

  async #end(seat: Seat, signal: 'SIGKILL' | 'SIGTERM'): Promise<Mend> {
    seat.killed = true;
    seat.agent.kill(signal);
    await seat.agent.exited;
    return async () => {
      seat.agent = seat.host.spawnAgent({ args: [`--etcd-endpoints=${this.#cluster.endpoints}`] });
      seat.killed = false;
    };
  }

  async #freeze(process: LabProcess): Promise<Mend> {
    process.kill('SIGSTOP');
    return async () => process.kill('SIGCONT');
  }

  /** Whether etcd does it is its own affair; it is no longer under way when it is quiet. */
  #ask(asked: Promise<unknown>): undefined {
    this.#asked.push(
      asked.catch((error: unknown) => this.#tell(`refused: ${String(error).slice(0, 120)}`)),
    );
    return undefined;
  }

  #tell(what: string): void {
    this.story.push(`${((performance.now() - this.#begun) / 1000).toFixed(1)} s  ${what}`);
  }

  #pick<T>(list: readonly T[]): T {
    const picked = list[Math.floor(this.#random() * list.length)];
    if (picked === undefined) throw new Error('nothing to pick from');
    return picked;
  }
}

async function deleteKeyOf(member: Member, { address }: Host): Promise<void> {
  for (const [key, value] of await member.list(SUBNETS))
    if (value.includes(`"${address}"`)) await member.ctl(['del', key]);
}
