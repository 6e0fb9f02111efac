/**
 * Beside real flanneld, where a binary is at hand ($FLANNELD or PATH): each sees the other's leases, and a host goes from
 * one to the other and back with its subnet, its routes and without a packet lost.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import {
  type Container,
  type Host,
  type LabEtcd,
  type LabProcess,
  openLab,
  recipeA,
  startEtcd,
  startPlainContainer,
} from '../../src/lab/index.ts';
import { findProgram, needs } from '../support/needs.ts';
import { until } from '../support/until.ts';
import { ARGS, CONFIG_KEY, endsWell, mustKeyOf, routed, SUBNETS } from './enemy.ts';
import { assertAllReach, CONFIG_A, nth, READY, routesOf } from './recipe.ts';

const tools = ['root', 'ip', 'unshare', 'setpriv', 'nsenter', 'nft', 'iptables', 'busybox'];
const options = { skip: needs(...tools, 'etcd', 'flanneld') ?? false, timeout: 180_000 };

async function flanneld(host: Host): Promise<LabProcess> {
  const process = host.spawn('flanneld', [findProgram('flanneld') ?? '', ...ARGS]);
  await until(`flanneld on ${host.name} has its subnet`, async () => {
    if (process.exit !== undefined) assert.fail(process.lastWords());
    return (await host.subnetFile()) !== undefined;
  });
  return process;
}

async function hostgw(host: Host): Promise<LabProcess> {
  const agent = host.spawnAgent({ args: ARGS });
  await agent.waitFor(READY);
  return agent;
}

/** Two hosts, which forward as Docker has them do (flanneld leaves that to it), and an etcd with the config; docker1 runs what `first` starts, docker2 what `second` starts. */
async function stand(
  first: (host: Host) => Promise<LabProcess>,
  second: (host: Host) => Promise<LabProcess>,
  use: (
    hosts: readonly [Host, Host],
    daemons: readonly [LabProcess, LabProcess],
    etcd: LabEtcd,
  ) => Promise<void>,
): Promise<void> {
  const lab = await openLab({ ...recipeA(2), ipForward: true });
  try {
    const hosts = [nth(lab.hosts, 0), nth(lab.hosts, 1)] as const;
    const etcd = await startEtcd(hosts[0]);
    await etcd.put(CONFIG_KEY, CONFIG_A);
    const daemons = [await first(hosts[0]), await second(hosts[1])] as const;
    for (const [host, other] of [hosts, [hosts[1], hosts[0]] as const]) {
      const key = await mustKeyOf(etcd, other.address);
      await routed(host, `${key.replace('-', '/')} via ${other.address} dev eth0`);
    }
    await use(hosts, daemons, etcd);
  } finally {
    await lab.close();
  }
}

/** Where packets go, whoever set the route. */
const bare = async (host: Host): Promise<string[]> =>
  (await routesOf(host)).map((line) => line.replace(/ proto \S+/, '')).sort();

/** Pings every 20 ms from one container to another while `work` runs; gives how many were sent and not answered. */
async function lostDuring(
  from: Container,
  to: Container,
  work: () => Promise<void>,
): Promise<{ readonly sent: number; readonly lost: number }> {
  const busybox = findProgram('busybox') ?? '';
  // Ended by a line rather than by a signal, which nsenter would keep to itself.
  const script = `${busybox} ping -i 0.02 ${to.address} & read line; kill -INT $!; wait $!`;
  const [file = '', ...args] = from.enter([busybox, 'sh', '-c', script]);
  const ping = spawn(file, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  let said = '';
  ping.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const answers = (): number => said.split('ttl=').length - 1;
  await until('the first answer', () => answers() > 0);
  await work();
  const before = answers();
  await until('the ping goes on', () => answers() > before + 5);
  const closed = once(ping, 'close');
  ping.stdin.end('\n');
  await closed;
  const [, sent, received] = /(\d+) packets transmitted, (\d+) packets received/.exec(said) ?? [];
  return { sent: Number(sent), lost: Number(sent) - Number(received) };
}

describe('beside flanneld', () => {
  test('each sees the other, and containers reach each other both ways', options, () =>
    stand(flanneld, hostgw, async (hosts) => {
      const containers = [
        await startPlainContainer(hosts[0], 'c1'),
        await startPlainContainer(hosts[1], 'c2'),
      ];
      await assertAllReach(containers);
    }),
  );

  test(
    'hostgw takes a host over from flanneld, and flanneld takes it back: same subnet, same routes, no packet lost',
    options,
    () =>
      stand(hostgw, flanneld, async ([first, second], [, theirs], etcd) => {
        const c1 = await startPlainContainer(first, 'c1');
        const c2 = await startPlainContainer(second, 'c2');
        await assertAllReach([c1, c2]);
        const keys = await etcd.list(SUBNETS);
        const routes = await bare(second);
        const peer = (await mustKeyOf(etcd, first.address)).replace('-', '/');
        const file = await second.subnetFile();
        const { sent, lost } = await lostDuring(c1, c2, async () => {
          theirs.kill('SIGTERM');
          await theirs.exited;
          const ours = await hostgw(second);
          await routed(second, `${peer} via ${first.address} dev eth0 proto 104`);
          assert.deepEqual(await bare(second), routes);
          await endsWell(ours);
          // Its subnet file is there already: what it says of the route comes after it has its lease.
          await (await flanneld(second)).waitFor(/Subnet added|already exists/);
          assert.deepEqual(await bare(second), routes);
        });
        assert.equal(lost, 0, `${lost} of ${sent} lost`);
        assert.ok(sent > 20);
        assert.deepEqual(await etcd.list(SUBNETS), keys);
        assert.deepEqual(await second.subnetFile(), file);
      }),
  );
});
