/** The demo's steps in order, each with what the programs themselves say. */
import { styleText } from 'node:util';
import { systemClock } from '../core/index.ts';
import {
  type Container,
  dockerMissing,
  type Host,
  type Lab,
  type LabEtcd,
  type LabProcess,
  openLab,
  recipeA,
  startDocker,
  startEtcd,
  startPlainContainer,
  watchRoutes,
} from '../lab/index.ts';

export interface DemoOptions {
  readonly hosts: number;
  readonly keep: boolean;
  readonly driver: 'auto' | 'native' | 'ip';
  readonly plain: boolean;
}

const CONFIG_KEY = '/coreos.com/network/config';
const CONFIG = '{"Network":"10.100.0.0/16","Backend":{"Type":"host-gw"}}';
/** What agents say that belongs to the story; the rest of their logs is shown only if something fails. */
const TOLD = [
  /external interface .*/,
  /waiting for the network config .*/,
  /route driver .*/,
  /network \S+: picking .*/,
  /lease acquired: .*/,
  /watching for leases .*/,
  /subnet added: .*/,
];

type Style = Parameters<typeof styleText>[0];
const paint = (style: Style, text: string): string =>
  styleText(style, text, { stream: process.stdout });
const say = (text = ''): void => {
  process.stdout.write(`${text}\n`);
};

/** Says the number and title of each step. */
function counter(): (title: string) => void {
  let number = 0;
  return (title) => {
    number += 1;
    say(`${number === 1 ? '' : '\n'}${paint('bold', `${number}. ${title}`)}`);
  };
}

/** Tells the demo; gives the exit status. `onLab` gets the lab as soon as it stands: its end is the caller's. */
export async function tellDemo(
  options: DemoOptions,
  onLab: (lab: Lab) => void,
  signal: AbortSignal,
): Promise<number> {
  const started = systemClock.now();
  const step = counter();
  const lab = await openLab(recipeA(options.hosts));
  onLab(lab);
  const first = at(lab.hosts, 0);
  const last = at(lab.hosts, -1);
  step(`${lab.hosts.length} hosts, each a network namespace with eth0 on one switch`);
  for (const host of lab.hosts) say(`   ${host.name}  ${host.address}/24  default via 10.10.10.1`);
  if (lab.nest.rootless) say('   as an ordinary user, in a user namespace');

  const etcd = await startEtcd(first);
  signal.throwIfAborted();
  step(
    `etcd on ${first.name} (${etcd.endpoint}), and an agent on every host; there is no network config yet`,
  );
  const agents = await startAgents(lab.hosts, etcd, options);

  step(`The network config is put into etcd`);
  await putConfig(lab.hosts, agents, etcd);

  step(`ip route on ${last.name}`);
  sayIndented(await last.must(['ip', 'route']));
  step(`/run/flannel/subnet.env on ${last.name}, which feeds Docker`);
  await Promise.all(agents.map((agent) => agent.waitFor(/(^|\s)ready$/)));
  sayIndented((await last.readFile('/run/flannel/subnet.env')) ?? 'missing');

  signal.throwIfAborted();
  const containers = await startContainers(lab, options, step);
  step('Ping between the containers of every pair of hosts');
  const lost = await pingAll(containers);
  await trace(containers, step);

  const seconds = ((systemClock.now() - started) / 1000).toFixed(1);
  if (options.keep) {
    sayHowToLook(lab, containers);
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
  }
  await lab.close();
  step(`Everything is gone again (${seconds} s in all)`);
  if (lost > 0) say(paint('red', `   ${lost} pings did not arrive.`));
  return lost === 0 ? 0 : 1;
}

function at<T>(list: readonly T[], index: number): T {
  const item = list.at(index);
  if (item === undefined) throw new RangeError(`no item ${index} in a list of ${list.length}`);
  return item;
}

function sayIndented(text: string): void {
  for (const line of text.trimEnd().split('\n')) say(`   ${line.trimEnd()}`);
}

async function startAgents(
  hosts: readonly Host[],
  etcd: LabEtcd,
  options: DemoOptions,
): Promise<LabProcess[]> {
  const agents = hosts.map((host) => {
    const args = [`--etcd-endpoints=${etcd.endpoint}`, `--route-driver=${options.driver}`];
    const agent = host.spawnAgent({ args });
    agent.onLine((text) => {
      const told = TOLD.map((pattern) => pattern.exec(text)?.[0]).find(
        (match) => match !== undefined,
      );
      if (told !== undefined) say(`   ${paint('cyan', host.name)}  ${told}`);
    });
    return agent;
  });
  await Promise.all(agents.map((agent) => agent.waitFor('waiting for the network config', 30_000)));
  return agents;
}

/** Puts the config and waits until every host's kernel has a route to every other host's subnet. */
async function putConfig(
  hosts: readonly Host[],
  agents: readonly LabProcess[],
  etcd: LabEtcd,
): Promise<void> {
  const watches = await Promise.all(hosts.map(watchRoutes));
  say(`   put ${CONFIG_KEY} ${CONFIG}`);
  const put = systemClock.now();
  await etcd.put(CONFIG_KEY, CONFIG);
  try {
    const times = await Promise.all(watches.map((watch) => watch.added(hosts.length - 1, 20_000)));
    await Promise.all(agents.map((agent) => agent.waitForAll('subnet added', hosts.length - 1)));
    const ms = Math.round(Math.max(...times) - put);
    say(
      `   ${paint('green', `all routes on all hosts ${ms} ms after the put`)}, by each kernel's own word`,
    );
  } catch (error) {
    for (const agent of agents) say(`${agent.name}: ${agent.lastWords()}`);
    throw error;
  } finally {
    for (const watch of watches) await watch.stop();
  }
}

async function startContainers(
  lab: Lab,
  options: DemoOptions,
  step: (title: string) => void,
): Promise<Container[]> {
  const missing = options.plain ? '--plain' : dockerMissing();
  if (missing !== undefined) {
    step(`A plain network namespace as container on every host (no Docker engine: ${missing})`);
    const plain = await Promise.all(
      lab.hosts.map((host, index) => startPlainContainer(host, `c${index + 1}`)),
    );
    for (const container of plain)
      say(`   ${container.host.name}  ${container.name}  ${container.address}`);
    return plain;
  }
  step(
    'A Docker engine on every host (--bip=$FLANNEL_SUBNET --mtu=$FLANNEL_MTU), and a container in it',
  );
  return Promise.all(
    lab.hosts.map(async (host, index) => {
      const engine = await startDocker(lab.nest, host);
      const container = await engine.startContainer(`c${index + 1}`);
      say(`   ${host.name}  ${container.name}  ${container.address}`);
      return container;
    }),
  );
}

/** Prints the matrix; gives the number of pings that did not arrive. */
async function pingAll(containers: readonly Container[]): Promise<number> {
  const addresses = containers.map((container) => container.address);
  const rows = await Promise.all(
    containers.map((from) => from.ping(addresses.filter((address) => address !== from.address))),
  );
  const width = 18;
  say(
    `   ${'from / to'.padEnd(24)}${addresses
      .map((address) => address.padEnd(width))
      .join('')
      .trimEnd()}`,
  );
  let lost = 0;
  containers.forEach((from, row) => {
    const cells = addresses.map((address) => {
      if (address === from.address) return '-'.padEnd(width);
      const reply = rows[row]?.get(address);
      if (reply) return `ttl=${reply.ttl} ${reply.ms.toFixed(2)} ms`.padEnd(width);
      lost += 1;
      return paint('red', 'no answer'.padEnd(width));
    });
    say(`   ${`${from.host.name} ${from.address}`.padEnd(24)}${cells.join('').trimEnd()}`);
  });
  const total = containers.length * (containers.length - 1);
  say(`   ${paint(lost === 0 ? 'green' : 'red', `${total - lost} of ${total} arrived`)}`);
  return lost;
}

async function trace(
  containers: readonly Container[],
  step: (title: string) => void,
): Promise<void> {
  const from = at(containers, 0);
  const to = at(containers, -1);
  const hops = await from.traceroute(to.address);
  if (hops === undefined) return;
  step(`traceroute from ${from.name} on ${from.host.name} to ${to.name} on ${to.host.name}`);
  const known: Record<string, string> = {
    [to.address]: `${to.name}, the container`,
    [to.host.address]: `${to.host.name}, the peer`,
  };
  for (const hop of hops) {
    const who = hop.hop === 1 ? `docker0 of ${from.host.name}` : (known[hop.address ?? ''] ?? '');
    say(`   ${hop.hop}  ${(hop.address ?? '*').padEnd(16)}${who}`.trimEnd());
  }
}

function sayHowToLook(lab: Lab, containers: readonly Container[]): void {
  const host = at(lab.hosts, -1);
  const container = at(containers, 0);
  const other = at(containers, -1);
  say(`\n${paint('bold', 'The hosts stay until Ctrl-C. To look around, in another terminal:')}`);
  say(`   ${host.enter(['ip', 'route']).join(' ')}`);
  say(`   ${host.enter(['sh']).join(' ')}          a shell on ${host.name}`);
  say(`   ${container.pingCommand(other.address).join(' ')}`);
  say(`   ${lab.nest.enter(['ip', 'netns', 'exec', host.name, 'ip', 'addr']).join(' ')}`);
}
