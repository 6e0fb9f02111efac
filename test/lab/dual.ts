/** Hosts of a lab with IPv6 beside IPv4 or in its place, and plain containers with what their host's subnet file names. */
import assert from 'node:assert/strict';
import {
  type Host,
  type Lab,
  LabError,
  type LabEtcd,
  type LabProcess,
  openLab,
  parsePing,
  recipeA,
  startEtcd,
} from '../../src/lab/index.ts';
import { nth, READY } from './recipe.ts';

const IPV6 = '"EnableIPv6":true,"IPv6Network":"fd00:100::/48","Backend":{"Type":"host-gw"}}';
export const CONFIGS = {
  dual: `{"Network":"10.100.0.0/16",${IPV6}`,
  only6: `{"EnableIPv4":false,${IPV6}`,
};
export type Stack = keyof typeof CONFIGS;
export const SUBNETS = '/coreos.com/network/subnets/';

export const address6 = (index: number): string => `fd00:10::${101 + index}`;

export interface DualStanding {
  readonly lab: Lab;
  readonly hosts: readonly Host[];
  readonly etcd: LabEtcd;
  readonly agents: readonly LabProcess[];
  startAgent(host: Host, ...args: string[]): LabProcess;
}

/** So many hosts and their agents, all ready, each with all its routes. */
export async function withDual(
  stack: Stack,
  count: number,
  use: (standing: DualStanding) => Promise<void>,
): Promise<void> {
  const lab = await openLab(recipeA(count));
  try {
    const { hosts } = lab;
    await lab.run(['ip', 'addr', 'add', 'fd00:10::1/64', 'dev', 'lan', 'nodad']);
    await Promise.all(hosts.map((host, index) => giveIpv6(host, index, stack)));
    const endpoint = stack === 'dual' ? 'http://10.10.10.101:2379' : `http://[${address6(0)}]:2379`;
    const urls = ['--listen-client-urls', `${endpoint},unix://localhost:1`];
    const args = [...urls, '--advertise-client-urls', endpoint];
    const etcd = await startEtcd(nth(hosts, 0), { args });
    await etcd.put('/coreos.com/network/config', CONFIGS[stack]);
    const startAgent = (host: Host, ...more: string[]): LabProcess =>
      host.spawnAgent({ args: [`--etcd-endpoints=${endpoint}`, ...more] });
    const agents = hosts.map((host) => startAgent(host));
    await Promise.all(agents.map((agent) => agent.waitFor(READY, 30_000)));
    const routes = (count - 1) * (stack === 'dual' ? 2 : 1);
    await Promise.all(agents.map((agent) => agent.waitForAll('subnet added: ', routes)));
    await use({ lab, hosts, etcd, agents, startAgent });
  } finally {
    await lab.close();
  }
}

/** IPv6-only hosts have no IPv4 at all. */
async function giveIpv6(host: Host, index: number, stack: Stack): Promise<void> {
  const steps = [
    `addr add ${address6(index)}/64 dev eth0 nodad`,
    '-6 route add default via fd00:10::1',
    ...(stack === 'only6' ? ['-4 addr flush dev eth0'] : []),
  ];
  for (const step of steps) await host.must(['ip', ...step.split(' ')]);
}

export interface Box {
  readonly name: string;
  readonly addresses: readonly string[];
  ping(addresses: readonly string[]): Promise<Map<string, number>>;
}

/** A network namespace behind a bridge that has the subnet file's addresses; its own are the next ones. */
export async function startBox(host: Host, name: string): Promise<Box> {
  const file = await host.subnetFile();
  const bridges = [file?.['FLANNEL_SUBNET'], file?.['FLANNEL_IPV6_SUBNET']].filter(
    (text) => text !== undefined,
  );
  assert.ok(bridges.length > 0, `${host.name} has a subnet file`);
  const holder = host.spawn(name, ['unshare', '--net', 'sh', '-c', 'echo up $$; exec sleep 600']);
  const pid = (await holder.waitFor(/^up \d+$/)).text.slice('up '.length);
  const nodad = (text: string): string => (text.includes(':') ? ' nodad' : '');
  const own = bridges.map((text) => text.replace(/1\/(\d+)$/, '2/$1'));
  await host.must(['ip', '-batch', '-'], {
    input: [
      'link add docker0 type bridge',
      ...bridges.map((text) => `addr add ${text} dev docker0${nodad(text)}`),
      'link set docker0 up',
      `link add v${name} type veth peer name eth0 netns ${pid}`,
      `link set v${name} master docker0`,
      `link set v${name} up\n`,
    ].join('\n'),
  });
  const run = (command: readonly string[], input?: string) =>
    host.run(['nsenter', '-t', pid, '-n', '--', ...command], {
      timeoutMs: 20_000,
      ...(input !== undefined && { input }),
    });
  const made = await run(
    ['ip', '-batch', '-'],
    [
      'link set eth0 up',
      ...own.map((text) => `addr add ${text} dev eth0${nodad(text)}`),
      ...bridges.map((text) => `route add default via ${text.replace(/\/.*/, '')}`),
      '',
    ].join('\n'),
  );
  if (made.code !== 0) throw new LabError(`${name} could not be made: ${made.stderr}`);
  return {
    name,
    addresses: own.map((text) => text.replace(/\/.*/, '')),
    async ping(addresses) {
      const loop = 'for a in "$@"; do busybox ping -c 1 -W 3 "$a"; done';
      const { stdout } = await run(['sh', '-c', loop, 'sh', ...addresses]);
      return new Map([...parsePing(stdout)].map(([from, { ttl }]) => [from, ttl]));
    },
  };
}

/** Our routes of a host, both families, as `ip route` prints them. */
export async function routesOf(host: Host): Promise<string[]> {
  const lists = await Promise.all(
    ['-4', '-6'].map((family) => host.must(['ip', family, 'route', 'show', 'proto', '104'])),
  );
  return lists.flatMap((text) => text.trim().split('\n')).flatMap((line) => line.trim() || []);
}

/** What the keys in etcd ask of a host whose own key is `own`. */
export function wantedBy(keys: ReadonlyMap<string, string>, own: string): string[] {
  const routes = [...keys].flatMap(([key, value]) => {
    if (key === own) return [];
    const { PublicIP, PublicIPv6 } = JSON.parse(value) as Record<string, string>;
    const [four = '', six = ''] = key.slice(SUBNETS.length).split('&');
    const route = (half: string, via: string | undefined, more: string): string =>
      `${half.replace(/-(\d+)$/, '/$1')} via ${via} dev eth0${more}`;
    const both = [route(four, PublicIP, ''), route(six, PublicIPv6, ' metric 1024 pref medium')];
    return four === '0.0.0.0-0' ? both.slice(1) : both;
  });
  return routes.sort();
}
