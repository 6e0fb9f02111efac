/**
 * A host with docker0, a container, and the LAN it hangs on, as three network namespaces. They have no names and
 * live in programs that end with this one, so nothing is left behind, also after kill -9.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type RunOptions, type RunResult, run } from '../../src/core/index.ts';

export class Namespace {
  #child: ChildProcess;
  readonly pid: number;

  private constructor(child: ChildProcess, pid: number) {
    this.#child = child;
    this.pid = pid;
  }

  static async create(): Promise<Namespace> {
    // cat ends when its standard input does: when this process closes it, or dies.
    const child = spawn('unshare', ['--net', 'sh', '-c', 'echo up; exec cat'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    if (child.pid === undefined) throw new Error('unshare has no pid');
    return new Namespace(child, child.pid);
  }

  /** Runs a program in it, in the shape of src/core's run. */
  run = (file: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> => {
    return run('nsenter', [`--net=/proc/${this.pid}/ns/net`, file, ...args], options);
  };

  /** Runs a shell script in it and gives its output; fails with what it said. */
  async sh(script: string): Promise<string> {
    const result = await this.run('sh', ['-euc', script]);
    if (result.code === 0) return result.stdout;
    throw new Error(`sh failed (${result.code}): ${script}\n${result.stderr}`);
  }

  spawn(...command: string[]): ChildProcess {
    return spawn('nsenter', [`--net=/proc/${this.pid}/ns/net`, ...command], { stdio: 'ignore' });
  }

  legacyTables = async (): Promise<string> =>
    (await this.run('cat', ['/proc/net/ip_tables_names'])).stdout;

  async close(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await gone;
  }
}

/** Who speaks on the LAN: all at one wire, told apart by their source address. */
export const PEER_HOST = '10.10.10.102';
export const PEER_CONTAINER = '10.100.2.2';
export const STRANGER = '10.10.10.9';
export const HOST = '10.10.10.101';
export const CONTAINER = '10.100.1.2';

export class World {
  readonly host: Namespace;
  readonly lan: Namespace;
  readonly box: Namespace;
  #servers: ChildProcess[] = [];

  private constructor(host: Namespace, lan: Namespace, box: Namespace) {
    this.host = host;
    this.lan = lan;
    this.box = box;
  }

  static async create(): Promise<World> {
    const [host, lan, box] = await Promise.all([
      Namespace.create(),
      Namespace.create(),
      Namespace.create(),
    ]);
    const world = new World(host, lan, box);
    await host.sh(`
      ip link set lo up
      ip link add eth0 type veth peer name eth0 netns ${lan.pid}
      ip link add docker0 type bridge
      ip link add box type veth peer name eth0 netns ${box.pid}
      ip link set box master docker0
      for link in eth0 docker0 box; do ip link set $link up; done
      ip address add ${HOST}/24 dev eth0
      ip address add 10.100.1.1/24 dev docker0
      ip route add default via 10.10.10.1
      ip route add 10.100.2.0/24 via ${PEER_HOST}
      echo 1 > /proc/sys/net/ipv4/ip_forward`);
    await lan.sh(`
      ip link set lo up; ip link set eth0 up
      ip address add ${PEER_HOST}/24 dev eth0; ip address add ${STRANGER}/24 dev eth0
      ip address add ${PEER_CONTAINER}/32 dev lo
      ip route add 10.100.1.0/24 via ${HOST}`);
    await box.sh(`
      ip link set lo up; ip link set eth0 up
      ip address add ${CONTAINER}/24 dev eth0
      ip route add default via 10.100.1.1`);
    for (const place of [lan, box]) {
      await place.sh(`nft -f - <<'END'
table ip seen {
	set sources { type ipv4_addr; flags dynamic; size 64; }
	chain input { type filter hook input priority 0; tcp flags syn / syn,ack add @sources { ip saddr }
	}
}
END`);
      world.#servers.push(place.spawn('busybox', 'nc', '-ll', '-p', '80', '-e', 'true'));
    }
    return world;
  }

  /** Whether a TCP connection from `source` on the LAN to `target` is established. */
  async reaches(source: string, target = CONTAINER, port = 80): Promise<boolean> {
    // The route picks the source address: busybox's nc cannot.
    const via = target === HOST ? '' : `via ${HOST}`;
    await this.lan.sh(`ip route replace ${target}/32 ${via} dev eth0 src ${source}`);
    return connects(this.lan, target, port);
  }

  /** The source addresses under which connections arrived in `place` since the last call. */
  async sources(place: Namespace): Promise<string[]> {
    const listing = await place.sh('nft list set ip seen sources; nft flush set ip seen sources');
    return (/elements = \{([^}]*)\}/.exec(listing)?.[1]?.match(/\d+(\.\d+){3}/g) ?? []).sort();
  }

  async containerReachesPeer(): Promise<boolean> {
    return connects(this.box, PEER_CONTAINER, 80);
  }

  async close(): Promise<void> {
    for (const server of this.#servers) server.kill('SIGKILL');
    await Promise.all([this.host, this.lan, this.box].map((place) => place.close()));
  }
}

async function connects(from: Namespace, target: string, port: number) {
  const command = ['nc', '-w', '1', target, String(port)];
  return (await from.run('busybox', command)).code === 0;
}

/** What Docker 20.10 writes, with one container that publishes its port 80 as 8080; `policy` is that of FORWARD. */
export const docker20 = (iptables: string, policy: 'DROP' | 'ACCEPT'): string => `
  ipt() { ${iptables} -w 5 "$@"; }
  ipt -P FORWARD ${policy}
  for chain in DOCKER DOCKER-ISOLATION-STAGE-1; do ipt -N $chain; done
  ipt -N DOCKER-USER 2>/dev/null || true
  ipt -A DOCKER-USER -j RETURN
  ipt -A DOCKER-ISOLATION-STAGE-1 -j RETURN
  ipt -A DOCKER -d ${CONTAINER}/32 ! -i docker0 -o docker0 -p tcp --dport 80 -m comment --comment published -m conntrack --ctstate DNAT -j ACCEPT
  ipt -I FORWARD -i docker0 -o docker0 -j ACCEPT
  ipt -I FORWARD -i docker0 ! -o docker0 -j ACCEPT
  ipt -I FORWARD -o docker0 -j DOCKER
  ipt -I FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
  ipt -I FORWARD -j DOCKER-ISOLATION-STAGE-1
  ipt -D FORWARD -j DOCKER-USER 2>/dev/null || true
  ipt -I FORWARD -j DOCKER-USER
  ipt -t nat -N DOCKER
  ipt -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
  ipt -t nat -A DOCKER ! -i docker0 -p tcp --dport 8080 -j DNAT --to-destination ${CONTAINER}:80
  ipt -t nat -I POSTROUTING -s 10.100.1.0/24 ! -o docker0 -j MASQUERADE`;

/** What Docker 28 adds for each container. */
export const docker28 = (iptables: string): string => `
  ${iptables} -w 5 -t raw -A PREROUTING -d ${CONTAINER}/32 ! -i docker0 -j DROP
  ${iptables} -w 5 -A DOCKER ! -i docker0 -o docker0 -j DROP`;
