/**
 * A lab with an etcd cluster of three members, each on a host of its own (docker1 to docker3), agents on the hosts after
 * them, and what can befall either. Faults of the network are nft rules in the host that they befall.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import {
  type Host,
  type Lab,
  type LabEtcd,
  type LabProcess,
  openLab,
  recipeA,
  startEtcd,
  watchRoutes,
} from '../../src/lab/index.ts';
import { findProgram } from '../support/needs.ts';
import { until } from '../support/until.ts';
import { CONFIG_KEY, lease, SUBNETS } from './enemy.ts';
import { CONFIG_A, nth, READY } from './recipe.ts';

export const CLIENT_PORT = 2379;
const PEER_PORT = 2380;
const MEMBERS = 3;
const BACKUP = '/run/etcd/backup.db';
/** An election may need several rounds on a slow machine. */
const ELECTION_MS = 60_000;

export class Member {
  readonly host: Host;
  readonly #all: () => readonly Host[];
  readonly #args: readonly string[];
  #etcd: LabEtcd | undefined;

  constructor(host: Host, all: () => readonly Host[], args: readonly string[]) {
    this.host = host;
    this.#all = all;
    this.#args = args;
  }

  get endpoint(): string {
    return `http://${this.host.address}:${CLIENT_PORT}`;
  }

  /** Started, and not ended; not while it waits for a quorum at its start. */
  get running(): boolean {
    return this.#etcd !== undefined && this.#etcd.process.exit === undefined;
  }

  get process(): LabProcess {
    assert.ok(this.#etcd);
    return this.#etcd.process;
  }

  /** Resolves once the cluster has a quorum. */
  async start(): Promise<void> {
    this.#etcd = undefined;
    this.#etcd = await startEtcd(this.host, { members: this.#all(), args: this.#args });
  }

  async kill(): Promise<void> {
    this.process.kill('SIGKILL');
    await this.process.exited;
  }

  /** Asks this member by etcdctl; rejects if it does not answer. */
  ctl(args: readonly string[], input?: string): Promise<string> {
    const program = findProgram('etcdctl') ?? 'etcdctl';
    const timeouts = ['--command-timeout=20s', '--dial-timeout=20s'];
    const command = ['env', 'ETCDCTL_API=3', program, `--endpoints=${this.endpoint}`, ...timeouts];
    const options = { timeoutMs: 30_000, ...(input !== undefined && { input }) };
    return this.host.must([...command, ...args], options);
  }

  /** The keys under `prefix`, by this member's JSON gateway. */
  list(prefix: string): Promise<Map<string, string>> {
    assert.ok(this.#etcd);
    return this.#etcd.list(prefix);
  }

  /** Forgets the history up to the present revision. */
  async compact(): Promise<void> {
    const text = await this.ctl(['get', 'any', '--write-out=json']);
    await this.ctl(['compaction', '--physical', /"revision":(\d+)/.exec(text)?.[1] ?? '']);
  }

  /** This member's part in restoring a backup. */
  async restore(backup: Buffer): Promise<void> {
    writeFileSync(`/proc/${this.host.pid}/root${BACKUP}`, backup);
    await this.host.must(['rm', '-rf', '/run/etcd/data']);
    // etcd 3.5 moved it to a program of its own, 3.6 took it out of etcdctl.
    const program = process.env['ETCDUTL'] ?? findProgram('etcdctl') ?? 'etcdctl';
    const url = (host: Host): string => `http://${host.address}:${PEER_PORT}`;
    const all = this.#all().map((host) => `${host.name}=${url(host)}`);
    await this.host.must([
      ...['env', 'ETCDCTL_API=3', program, 'snapshot', 'restore', BACKUP],
      ...['--name', this.host.name, '--data-dir', '/run/etcd/data'],
      ...['--initial-cluster', all.join(','), '--initial-advertise-peer-urls', url(this.host)],
    ]);
  }

  /** Whether it leads, by its own word; false if it does not answer. */
  async leads(): Promise<boolean> {
    const text = await this.ctl(['endpoint', 'status', '--write-out=fields']).catch(() => '');
    const field = (name: string): string | undefined =>
      new RegExp(`^"${name}" : (\\d+)$`, 'm').exec(text)?.[1];
    const leader = field('Leader');
    return leader !== undefined && leader !== '0' && leader === field('MemberID');
  }
}

export interface Cluster {
  readonly lab: Lab;
  readonly members: readonly Member[];
  /** The hosts without a member. */
  readonly hosts: readonly Host[];
  readonly endpoints: string;
  leader(): Promise<Member>;
  /** An agent on `host` that knows all members, or those named; resolves when it is ready. */
  agent(host: Host, args?: readonly string[]): Promise<LabProcess>;
}

export interface ClusterOptions {
  /** More arguments for etcd. */
  readonly etcd?: readonly string[];
  /** Hosts without a member. */
  readonly hosts: number;
}

/** Three members with quorum and the config in etcd. */
export async function withCluster(
  options: ClusterOptions,
  use: (cluster: Cluster) => Promise<void>,
): Promise<void> {
  const lab = await openLab(recipeA(MEMBERS + options.hosts));
  try {
    const homes = lab.hosts.slice(0, MEMBERS);
    const members = homes.map((host) => new Member(host, () => homes, options.etcd ?? []));
    await Promise.all(members.map((member) => member.start()));
    await nth(members, 0).ctl(['put', CONFIG_KEY, CONFIG_A]);
    const endpoints = members.map(({ endpoint }) => endpoint).join(',');
    await use({
      lab,
      members,
      hosts: lab.hosts.slice(MEMBERS),
      endpoints,
      leader: () => leaderOf(members),
      async agent(host, args = [`--etcd-endpoints=${endpoints}`]) {
        const agent = host.spawnAgent({ args });
        await agent.waitFor(READY);
        return agent;
      },
    });
  } finally {
    await lab.close();
  }
}

export async function leaderOf(members: readonly Member[]): Promise<Member> {
  let found: Member | undefined;
  await until(
    'the cluster has a leader',
    async () => {
      for (const member of members) {
        if (member.running && (await member.leads())) found = member;
      }
      return found !== undefined;
    },
    ELECTION_MS,
  );
  assert.ok(found);
  return found;
}

/** The members but this one. */
export const others = (members: readonly Member[], member: Member): Member[] =>
  members.filter((other) => other !== member);

export const putLease = (member: Member, name: string, gateway: string): Promise<string> =>
  member.ctl(['put', SUBNETS + name, lease(gateway)]);

/** Cuts a member off from the others; clients still reach it. */
export const partition = (host: Host): Promise<void> => drop(host, [PEER_PORT]);
/** Cuts a host off from every etcd. */
export const cutFromEtcd = (host: Host): Promise<void> => drop(host, [CLIENT_PORT]);
export const mend = (host: Host): Promise<string> =>
  host.must(['nft', 'delete', 'table', 'inet', 'fault']);

/** Packets that have one of the ports at either end vanish, in both directions. */
async function drop(host: Host, ports: readonly number[]): Promise<void> {
  const chain = (hook: string): string =>
    [
      `chain inet fault ${hook} { type filter hook ${hook} priority 0; }`,
      ...ports.map((port) => `rule inet fault ${hook} tcp dport ${port} drop`),
      ...ports.map((port) => `rule inet fault ${hook} tcp sport ${port} drop`),
    ]
      .map((line) => `add ${line}\n`)
      .join('');
  const input = `add table inet fault\n${chain('input')}${chain('output')}`;
  await host.must(['nft', '-f', '-'], { input });
}

/** The time (ms) from sending the first put of a lease that is taken to its route in the kernel of `host`. */
export async function putToRoute(host: Host, name: string, member: Member): Promise<number> {
  const watch = await watchRoutes(host);
  let sent = 0;
  const put = (): Promise<boolean> => {
    sent = performance.now();
    return putLease(member, name, '10.10.10.62').then(
      () => true,
      () => false,
    );
  };
  await until(`the cluster takes ${name}`, put, ELECTION_MS);
  const { at } = await watch.process.waitFor(`${name.replace('-', '/')} via`, ELECTION_MS);
  await watch.stop();
  return at - sent;
}

/** Saves what the member holds; gives the path of the file from outside the lab. */
export async function saveBackup(member: Member): Promise<string> {
  await member.ctl(['snapshot', 'save', BACKUP]);
  return `/proc/${member.host.pid}/root${BACKUP}`;
}

/** The whole cluster anew from a backup, as etcd's documentation says: all members ended, each restored, all started. */
export async function restoreBackup(members: readonly Member[], backup: string): Promise<void> {
  const content = readFileSync(backup);
  await Promise.all(members.map((member) => member.kill()));
  await Promise.all(
    members.map(async (member) => {
      await member.restore(content);
    }),
  );
  await Promise.all(members.map((member) => member.start()));
}

/** Writes until etcd has no space left; with a small --quota-backend-bytes. */
export async function fillDisk(member: Member): Promise<void> {
  const value = 'x'.repeat(700_000);
  for (let i = 0; ; i += 1) {
    const refused = await member.ctl(['put', `/fill/${i}`], value).then(() => undefined, String);
    if (refused === undefined) continue;
    assert.match(refused, /database space exceeded/);
    return;
  }
}

/** The cure of a full etcd: compact, defragment every member, take the alarm back. */
export async function freeDisk(members: readonly Member[]): Promise<void> {
  const first = nth(members, 0);
  await first.ctl(['del', '--prefix', '/fill/']);
  await first.compact();
  for (const member of members) await member.ctl(['defrag']);
  await first.ctl(['alarm', 'disarm']);
}
