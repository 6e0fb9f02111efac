/** A real Docker engine on a host of the lab, with the subnet that the host's subnet file names. */
import { type Container, containerOf } from './container.ts';
import { findProgram } from './etcd.ts';
import type { Host } from './host.ts';
import { LabError, type Nest } from './nest.ts';
import type { LabProcess } from './process.ts';

export interface DockerOptions {
  /** More options for dockerd, as in --iptables=false. */
  readonly args?: readonly string[];
}

export interface DockerEngine {
  readonly process: LabProcess;
  /** Starts a container that sleeps; it holds BusyBox and nothing else. */
  startContainer(name: string): Promise<Container>;
}

const IMAGE = 'hostgw-lab';
const SOCKET = 'unix:///run/docker.sock';
// The caller's own choice of an engine must not lead out of the lab.
const DOCKER = ['env', '-u', 'DOCKER_CONTEXT', '-u', 'DOCKER_HOST', 'docker', '-H', SOCKET];

// An image without a registry: BusyBox, static or with its libraries, and names for its commands.
const MAKE_IMAGE = `
set -e
busybox=$1; image=$2; shift 2
d=$(mktemp -d /run/lab/image.XXXXXX)
mkdir -p $d/bin $d/tmp
cp "$busybox" $d/bin/busybox
for name in sh ping traceroute ip ps ls cat sleep wget nc; do ln -s busybox $d/bin/$name; done
ldd "$busybox" 2>/dev/null | grep -o '/[^ ]*' | while read -r lib; do mkdir -p "$d$(dirname "$lib")"; cp -L "$lib" "$d$lib"; done
tar -C $d -c . | "$@" import -c 'CMD ["sleep", "86400"]' - "$image"
rm -rf $d
`;

/** What real engines need and this machine lacks, as the end of a sentence; undefined if all is there. */
export function dockerMissing(): string | undefined {
  if (process.getuid?.() !== 0) return 'Docker needs root';
  const missing = ['dockerd', 'docker', 'containerd', 'busybox'].find((name) => !findProgram(name));
  return missing === undefined ? undefined : `${missing} is not installed`;
}

export async function startDocker(
  nest: Nest,
  host: Host,
  options: DockerOptions = {},
): Promise<DockerEngine> {
  const missing = dockerMissing();
  if (missing !== undefined) throw new LabError(`No Docker engine on ${host.name}: ${missing}.`);
  const file = await host.subnetFile();
  const subnet = file?.['FLANNEL_SUBNET'];
  if (subnet === undefined)
    throw new LabError(`${host.name} has no subnet file with FLANNEL_SUBNET yet.`);
  nest.coverCgroups();
  const engine = host.spawn('dockerd', [
    ...['dockerd', '--host', SOCKET, '--pidfile', '/run/docker.pid'],
    ...['--data-root', '/var/lib/docker', '--exec-root', '/run/docker'],
    ...['--exec-opt', 'native.cgroupdriver=cgroupfs', '--cgroup-parent', `/${nest.name}`],
    ...['--bip', subnet, '--mtu', file?.['FLANNEL_MTU'] ?? '1500'],
    ...(options.args ?? []),
  ]);
  await engine.waitFor('API listen on', 60_000);
  const busybox = findProgram('busybox') ?? 'busybox';
  await host.must(['sh', '-c', MAKE_IMAGE, 'sh', busybox, IMAGE, ...DOCKER], { timeoutMs: 60_000 });
  return { process: engine, startContainer: (name) => startContainer(host, name) };
}

async function startContainer(host: Host, name: string): Promise<Container> {
  await host.must([...DOCKER, 'run', '-d', '--name', name, '--hostname', name, IMAGE], {
    timeoutMs: 60_000,
  });
  const format = '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}';
  const address = (await host.must([...DOCKER, 'inspect', '-f', format, name])).trim();
  const inside = (command: readonly string[]): string[] => [...DOCKER, 'exec', name, ...command];
  const base = {
    name,
    address,
    host,
    enter: (command: readonly string[]) =>
      host.enter(['docker', '-H', SOCKET, 'exec', name, ...command]),
    run: (command: readonly string[], options?: Parameters<Container['run']>[1]) =>
      host.run(inside(command), options),
  };
  return containerOf(base, { ping: ['ping'], traceroute: ['traceroute'] });
}
