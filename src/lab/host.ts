/**
 * One host of a lab: a network namespace with eth0 on the shared switch and a default route, and a
 * mount namespace whose /run and state folders are its own, so that programs run with their default paths.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RunOptions, RunResult } from '../core/index.ts';
import { LabError, type Nest } from './nest.ts';
import type { LabProcess } from './process.ts';
import { type AgentOptions, agentCommand } from './runtime.ts';

export interface HostPlan {
  readonly name: string;
  /** Address of eth0 with its length, as in 10.10.10.101/24. */
  readonly address: string;
}

export interface HostSetup extends HostPlan {
  /** Of the default route. */
  readonly gateway: string;
  /** Lines for /etc/hosts: name to address. */
  readonly names: Readonly<Record<string, string>>;
  /** Hardware address, given rather than random so that a run can be compared with another. */
  readonly mac: string;
}

/** What agents write for Docker: the variables of /run/flannel/subnet.env. */
export type SubnetFile = Readonly<Record<string, string>>;

export interface Host {
  readonly name: string;
  /** Address of eth0, without its length. */
  readonly address: string;
  /** A process that holds the host's namespaces, seen from outside the lab: for nsenter -t. */
  readonly pid: number;
  /** Command line that runs `command` in this host, from outside the lab. */
  enter(command: readonly string[]): string[];
  run(command: readonly string[], options?: RunOptions): Promise<RunResult>;
  /** As run, but rejects if the exit status is not 0; gives standard output. */
  must(command: readonly string[], options?: RunOptions): Promise<string>;
  spawn(name: string, command: readonly string[], env?: Record<string, string>): LabProcess;
  spawnAgent(options?: AgentOptions): LabProcess;
  /** Content of a file as the host sees it; undefined if it is not there. */
  readFile(path: string): Promise<string | undefined>;
  subnetFile(): Promise<SubnetFile | undefined>;
}

// A fresh sysfs shows this network namespace; the cgroups, which a container engine needs, are put back into it.
// An ordinary user may be refused that, and can do without. Forwarding is inherited from the machine: start from 0.
// No name server: questions to the machine's own would wait for answers that cannot come.
const HOLDER = `
set -e
name=$1; hosts=$2; forward=$3
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/flannel /run/hostgw /run/lock /run/lab/cgroup
for d in /var/lib/hostgw /var/lib/docker /var/lib/containerd /etc/docker; do mount -t tmpfs -o mode=755 tmpfs $d; done
printf '%s' "$hosts" >/run/lab/hosts
mount --bind /run/lab/hosts /etc/hosts
echo 'nameserver 127.0.0.1' >/run/lab/resolv.conf
[ ! -e /etc/resolv.conf ] || mount --bind /run/lab/resolv.conf /etc/resolv.conf
if [ -d /sys/fs/cgroup ] && mount --rbind /sys/fs/cgroup /run/lab/cgroup 2>/dev/null; then
  mount -t sysfs sysfs /sys 2>/dev/null && mount --rbind /run/lab/cgroup /sys/fs/cgroup 2>/dev/null || true
fi
echo $forward >/proc/sys/net/ipv4/ip_forward
ip link set lo up
echo up $$
exec sleep infinity
`;

/** Makes the host's namespaces and joins eth0 to the bridge `lan` of the nest. */
export async function makeHost(nest: Nest, setup: HostSetup, ipForward: boolean): Promise<Host> {
  const names = Object.entries(setup.names).map(([name, address]) => `${address} ${name}\n`);
  const holder = nest.spawn(setup.name, [
    ...['unshare', '--mount', '--net', 'sh', '-c', HOLDER, 'sh', setup.name],
    ...[`127.0.0.1 localhost\n${names.join('')}`, ipForward ? '1' : '0'],
  ]);
  const up = await holder.waitFor(/^up \d+$/);
  const pid = holder.pid;
  if (pid === undefined) throw new LabError(`${setup.name} ended at once: ${holder.lastWords()}`);
  const innerPid = up.text.slice('up '.length);

  const must = async (
    command: readonly string[],
    target: number | undefined,
    options?: RunOptions,
  ) => {
    const result = await nest.run(command, options, target);
    if (result.code === 0) return result.stdout;
    const said = (result.stderr + result.stdout).trim();
    throw new LabError(`${command.join(' ')} in ${setup.name} failed (${result.code}): ${said}`);
  };
  await must(['ip', 'netns', 'attach', setup.name, innerPid], undefined);
  const port = `to-${setup.name}`;
  const join = [
    `link add ${port} type veth peer name eth0 address ${setup.mac} netns ${setup.name}`,
    `link set ${port} master lan`,
    `link set ${port} up`,
  ];
  await must(['ip', '-batch', '-'], undefined, { input: `${join.join('\n')}\n` });
  const own = [
    `addr add ${setup.address} dev eth0`,
    'link set eth0 up',
    `route add default via ${setup.gateway}`,
  ];
  await must(['ip', '-batch', '-'], pid, { input: `${own.join('\n')}\n` });
  return hostOf(nest, setup, pid, (command, options) => must(command, pid, options));
}

function hostOf(nest: Nest, setup: HostSetup, pid: number, must: Host['must']): Host {
  const host: Host = {
    name: setup.name,
    address: setup.address.replace(/\/\d+$/, ''),
    pid,
    enter: (command) => nest.enter(command, pid),
    run: (command, options) => nest.run(command, options, pid),
    must,
    spawn: (name, command, env) => nest.spawn(`${name} on ${setup.name}`, command, env, pid),
    spawnAgent(options = {}) {
      const { command, env } = agentCommand(options);
      return host.spawn(`agent (${options.runtime ?? 'bun'})`, command, env);
    },
    async readFile(path) {
      try {
        return await readFile(join(`/proc/${pid}/root`, path), 'utf8');
      } catch {
        return undefined;
      }
    },
    async subnetFile() {
      const text = await host.readFile('/run/flannel/subnet.env');
      if (text === undefined) return undefined;
      const pairs = text.split('\n').flatMap((line) => {
        const [, key, value] = /^([A-Z0-9_]+)=(.*)$/.exec(line) ?? [];
        return key !== undefined && value !== undefined ? [[key, value] as const] : [];
      });
      return Object.fromEntries(pairs);
    },
  };
  return host;
}
