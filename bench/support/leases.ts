/**
 * The cluster of the lease side's benchmarks: a real etcd on loopback, its data on tmpfs, and leases of hosts on the link.
 * Behind the link a second namespace answers ARP for every gateway, as hosts would.
 */
import { spawn } from 'node:child_process';
import { readlinkSync } from 'node:fs';
import { run } from '../../src/core/index.ts';
import type { Etcd, Transaction } from '../../src/etcd/index.ts';
import { startEtcd, type TestEtcd } from '../../test/support/etcd.ts';
import { until } from '../../test/support/until.ts';
import { ip } from './netns.ts';
import { gatewayAt, prefixAt } from './routes.ts';

type Write = Transaction['writes'][number];

const PREFIX = '/coreos.com/network';
const CONFIG = { Network: '10.0.0.0/8', SubnetLen: 24, Backend: { Type: 'host-gw' } };
/** etcd refuses transactions of more than 128 operations. */
const OPERATIONS = 120;
/** Where the subnets begin that no benchmark asks for itself: an agent's own is found among them. */
const OWN_AT = 40_000;

export class Leases {
  readonly #etcd: TestEtcd;
  readonly #session: Etcd;

  private constructor(etcd: TestEtcd) {
    this.#etcd = etcd;
    this.#session = etcd.open();
  }

  /** An etcd with the network's config and `count` leases. */
  static async open(count: number): Promise<Leases> {
    const leases = new Leases(await startEtcd());
    const min = prefixAt(OWN_AT).address.text;
    const config = JSON.stringify({ ...CONFIG, SubnetMin: min });
    await leases.#write([put(`${PREFIX}/config`, config)]);
    await leases.put(count);
    return leases;
  }

  get endpoint(): string {
    return this.#etcd.endpoint;
  }

  /** Leases of hosts 0 to `count` - 1, many in a transaction. */
  async put(count: number): Promise<void> {
    const writes = Array.from({ length: count }, (_, index) => leaseOf(index));
    for (let at = 0; at < count; at += OPERATIONS)
      await this.#write(writes.slice(at, at + OPERATIONS));
  }

  /** One put. Resolves when etcd has answered. */
  putOne(index: number, shift = 0): Promise<void> {
    return this.#write([leaseOf(index, shift)]);
  }

  /** Keys under `subnets/` with any name and value, many in a transaction. */
  async putRaw(entries: readonly (readonly [string, string])[]): Promise<void> {
    const writes = entries.map(([name, value]) => put(`${PREFIX}/subnets/${name}`, value));
    for (let at = 0; at < writes.length; at += OPERATIONS)
      await this.#write(writes.slice(at, at + OPERATIONS));
  }

  /** The store's revision: every write to any key raises it. */
  async revision(): Promise<number> {
    return (await this.#session.list(`${PREFIX}/config`)).revision;
  }

  stop(): Promise<void> {
    return this.#etcd.stop();
  }

  async #write(writes: readonly Write[]): Promise<void> {
    await this.#session.transact({ compare: [], writes });
  }
}

const put = (key: string, value: string): Write => ({ type: 'put', key, value, lease: '0' });

function leaseOf(index: number, shift = 0): Write {
  const { address, length } = prefixAt(index);
  const value = {
    PublicIP: gatewayAt(index, shift).text,
    PublicIPv6: null,
    BackendType: 'host-gw',
  };
  return put(`${PREFIX}/subnets/${address.text}-${length}`, JSON.stringify(value));
}

/** Moves the link's other end into a namespace that answers for every address of its network; it ends with us. */
export async function openHosts(): Promise<void> {
  const words = ['--pdeathsig', 'KILL', '--', 'unshare', '--net', 'sleep', 'infinity'];
  const holder = spawn('setpriv', words, { stdio: 'ignore' });
  holder.unref();
  const own = readlinkSync('/proc/self/ns/net');
  const there = `/proc/${holder.pid}/ns/net`;
  await until('the hosts have a namespace', () => readlinkSync(there) !== own);
  await ip(`link set bench1 netns ${holder.pid}`);
  const inside = ['-t', String(holder.pid), '-n', 'ip', '-batch', '-'];
  const { code, stderr } = await run('nsenter', inside, { input: HOSTS });
  if (code !== 0) throw new Error(`the hosts' namespace: ${stderr}`);
}

// Every address of a local prefix is one that ARP is answered for.
const HOSTS = `link set lo up
link set bench1 addrgenmode none up
addr add 172.31.255.254/32 dev bench1
route add 172.16.0.1/32 dev bench1
route add local 172.16.0.0/12 dev lo
`;
