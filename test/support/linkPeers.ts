/**
 * Many hosts on one link, as far as the neighbour table is concerned: a second network namespace that answers for all of
 * their addresses and notes which of them packets have reached. Must run in a namespace that may be thrown away.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { run } from '../../src/core/index.ts';
import { type Address, v4, v6 } from '../../src/ip/index.ts';
import { until } from './until.ts';

const PORT = 9;
/** 10.20.1.0 and fd20::1000 are the first peers'. */
const FIRST = { 4: (10 << 24) | (20 << 16) | 256, 6: (0xfd20n << 112n) | 0x1000n };
/** Sent in one go; more would only wait in the socket. */
const BURST = 250;

export interface LinkPeers {
  /** The index of our end, `eth0`. */
  readonly device: number;
  readonly peers: readonly Address[];
  /** Sends one packet to each; resolves when all have left. */
  send(to?: readonly Address[]): Promise<void>;
  /** The addresses that packets have reached since the last call. */
  reached(): Promise<ReadonlySet<string>>;
  setCarrier(carrier: boolean): Promise<void>;
  close(): Promise<void>;
}

export async function openLinkPeers(count: number, family: 4 | 6 = 4): Promise<LinkPeers> {
  // It ends with us, also after kill -9.
  const tie = ['--pdeathsig', 'KILL', '--', 'unshare', '--net', 'sleep', 'infinity'];
  const holder = spawn('setpriv', tie, { stdio: 'ignore' });
  try {
    return await build(holder, count, family);
  } catch (error) {
    await end(holder);
    throw error;
  }
}

async function build(holder: ChildProcess, count: number, family: 4 | 6): Promise<LinkPeers> {
  const pid = String(holder.pid);
  const there = (words: string, input?: string) =>
    must(['nsenter', '-t', pid, '-n', ...words.split(' ')], input);
  const own = await must(['readlink', '/proc/self/ns/net']);
  await until('the namespace is there', async () => {
    const { stdout } = await run('readlink', [`/proc/${pid}/ns/net`]);
    return stdout !== '' && stdout !== own;
  });
  const peers = Array.from({ length: count }, (_, index) =>
    family === 4 ? v4(FIRST[4] + index) : v6(FIRST[6] + BigInt(index)),
  );
  await must(['ip', '-batch', '-'], LINK);
  await must(['ip', 'link', 'set', 'peer0', 'netns', pid]);
  await there('ip -batch -', PEERS);
  if (family === 6) {
    const addresses = peers.map(({ text }) => `addr add ${text}/128 dev peer0 nodad\n`).join('');
    await there('ip -batch -', addresses);
  }
  await there('nft -f -', COUNTERS);
  const device = Number(/^(\d+):/.exec(await must(['ip', '-o', 'link', 'show', 'eth0']))?.[1]);
  const set = `seen${family}`;
  return {
    device,
    peers,
    send: (to = peers) => sendTo(to, family),
    async reached() {
      const listed = await there(`nft -j list set inet peers ${set}`);
      await there(`nft flush set inet peers ${set}`);
      return new Set(elementsOf(listed));
    },
    async setCarrier(carrier) {
      await there(`ip link set peer0 ${carrier ? 'up' : 'down'}`);
      const state = carrier ? / state UP / : / state (LOWERLAYER)?DOWN /;
      const link = async () => state.test(await must(['ip', '-o', 'link', 'show', 'eth0']));
      await until('the carrier is seen', link);
    },
    async close() {
      await run('ip', ['link', 'del', 'eth0']);
      await end(holder);
    },
  };
}

const LINK = `link set lo up
link add eth0 type veth peer name peer0
link set eth0 up
addr add 10.30.0.1/32 dev eth0
addr add fd30::1/128 dev eth0 nodad
route add 10.20.0.0/16 dev eth0
route add fd20::/64 dev eth0
`;
// Every address of a local prefix is one that ARP is answered for.
const PEERS = `link set lo up
link set peer0 up
addr add 10.21.0.1/32 dev peer0
route add 10.30.0.1/32 dev peer0
route add fd30::1/128 dev peer0
route add local 10.20.0.0/16 dev lo
`;
const COUNTERS = `table inet peers {
  set seen4 { type ipv4_addr; flags dynamic; size 65535; }
  set seen6 { type ipv6_addr; flags dynamic; size 65535; }
  chain arrived {
    type filter hook prerouting priority -300;
    ip daddr 10.20.0.0/16 udp dport ${PORT} add @seen4 { ip daddr } drop
    ip6 daddr fd20::/64 udp dport ${PORT} add @seen6 { ip6 daddr } drop
  }
}
`;

async function sendTo(peers: readonly Address[], family: 4 | 6): Promise<void> {
  const socket = createSocket(family === 4 ? 'udp4' : 'udp6');
  for (let at = 0; at < peers.length; at += BURST) {
    const sends = peers.slice(at, at + BURST).map(
      ({ text }) =>
        // A full neighbour table is an error in IPv6, and none in IPv4: who was reached tells.
        new Promise<void>((resolve) => socket.send('x', PORT, text, () => resolve())),
    );
    await Promise.all(sends);
  }
  socket.close();
}

interface NftSet {
  readonly nftables: readonly { readonly set?: { readonly elem?: readonly unknown[] } }[];
}

function elementsOf(json: string): string[] {
  const { nftables }: NftSet = JSON.parse(json);
  return nftables.flatMap(({ set }) => (set?.elem ?? []).map((element) => String(element)));
}

async function must(words: readonly string[], input = ''): Promise<string> {
  const [file = '', ...rest] = words;
  const { code, stdout, stderr } = await run(file, rest, { input, timeoutMs: 30_000 });
  assert.equal(code, 0, `${words.join(' ')}: ${stderr}`);
  return stdout;
}

async function end(holder: ChildProcess): Promise<void> {
  if (holder.exitCode !== null || holder.signalCode !== null) return;
  const exited = once(holder, 'exit');
  holder.kill('SIGKILL');
  await exited;
}
