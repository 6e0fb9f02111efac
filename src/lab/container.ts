/**
 * Containers of a lab: of a real Docker engine, or, where there is none, a plain network namespace behind
 * a bridge docker0 that has the subnet's first address, as Docker would make it.
 */
import type { RunOptions, RunResult } from '../core/index.ts';
import { findProgram } from './etcd.ts';
import type { Host } from './host.ts';
import { LabError } from './nest.ts';
import { type Hop, parsePing, parseTraceroute, type Reply } from './probe.ts';

export interface Container {
  readonly name: string;
  readonly address: string;
  readonly host: Host;
  /** Command line that runs `command` in the container, from outside the lab. */
  enter(command: readonly string[]): string[];
  run(command: readonly string[], options?: RunOptions): Promise<RunResult>;
  /** Command line of one ping from the container, from outside the lab. */
  pingCommand(address: string): string[];
  /** One ping to each address; an address that did not answer is not in the result. */
  ping(addresses: readonly string[]): Promise<Map<string, Reply>>;
  /** The path of UDP packets; undefined if there is no traceroute program. */
  traceroute(address: string): Promise<Hop[] | undefined>;
}

export interface ContainerTools {
  readonly ping: readonly string[];
  readonly traceroute: readonly string[] | undefined;
}

/** The parts of a container that follow from how one runs a command in it. */
export function containerOf(
  base: Pick<Container, 'name' | 'address' | 'host' | 'enter' | 'run'>,
  tools: ContainerTools,
): Container {
  return {
    ...base,
    pingCommand: (address) => base.enter([...tools.ping, '-c', '1', address]),
    async ping(addresses) {
      const loop = `for a in "$@"; do ${tools.ping.join(' ')} -c 1 -W 3 "$a"; done`;
      const timeoutMs = 10_000 + 4_000 * addresses.length;
      const said = await base.run(['sh', '-c', loop, 'sh', ...addresses], { timeoutMs });
      return parsePing(said.stdout);
    },
    async traceroute(address) {
      if (tools.traceroute === undefined) return undefined;
      const options = ['-n', '-q', '1', '-w', '2', '-m', '6'];
      const said = await base.run([...tools.traceroute, ...options, address], {
        timeoutMs: 20_000,
      });
      return parseTraceroute(said.stdout);
    },
  };
}

/** The machine's ping and traceroute, for plain containers, which see the machine's programs. */
async function machineTools(host: Host): Promise<ContainerTools> {
  const busybox = findProgram('busybox');
  const applets = busybox ? (await host.run([busybox, '--list'])).stdout.split('\n') : [];
  const find = (name: string): string[] | undefined => {
    if (busybox !== undefined && applets.includes(name)) return [busybox, name];
    const program = findProgram(name);
    return program === undefined ? undefined : [program];
  };
  const ping = find('ping');
  if (!ping) throw new LabError('The lab needs ping: install busybox or iputils-ping.');
  return { ping, traceroute: find('traceroute') };
}

/** Starts a plain container with the second address of the subnet that the host's subnet file names. */
export async function startPlainContainer(host: Host, name: string): Promise<Container> {
  const file = await host.subnetFile();
  const [, base, last, length] =
    /^(\d+\.\d+\.\d+\.)(\d+)\/(\d+)$/.exec(file?.['FLANNEL_SUBNET'] ?? '') ?? [];
  if (base === undefined)
    throw new LabError(`${host.name} has no subnet file with FLANNEL_SUBNET yet.`);
  const mtu = file?.['FLANNEL_MTU'] ?? '1500';
  const gateway = `${base}${last}`;
  const address = `${base}${Number(last) + 1}`;

  const holder = host.spawn(name, [
    'unshare',
    '--net',
    'sh',
    '-c',
    'echo up $$; exec sleep infinity',
  ]);
  const innerPid = (await holder.waitFor(/^up \d+$/)).text.slice('up '.length);
  const pid = holder.pid;
  if (pid === undefined)
    throw new LabError(`The container ${name} ended at once: ${holder.lastWords()}`);
  await host.must(['ip', '-batch', '-'], {
    input: [
      'link add docker0 type bridge',
      `link set docker0 mtu ${mtu}`,
      `addr add ${gateway}/${length} dev docker0`,
      'link set docker0 up',
      `link add vc-${name} mtu ${mtu} type veth peer name eth0 mtu ${mtu} netns ${innerPid}`,
      `link set vc-${name} master docker0`,
      `link set vc-${name} up\n`,
    ].join('\n'),
  });
  const enter = (command: readonly string[]): string[] => {
    const line = host.enter(command);
    line[line.indexOf('-t') + 1] = String(pid);
    return line;
  };
  const run = (command: readonly string[], options?: RunOptions): Promise<RunResult> =>
    host.run(['nsenter', '-t', innerPid, '-n', '--', ...command], options);
  const eth0 = `addr add ${address}/${length} dev eth0\nlink set eth0 up\nlink set lo up\nroute add default via ${gateway}\n`;
  const made = await run(['ip', '-batch', '-'], { input: eth0 });
  if (made.code !== 0)
    throw new LabError(`The container ${name} could not be made: ${made.stderr.trim()}`);
  return containerOf({ name, address, host, enter, run }, await machineTools(host));
}
