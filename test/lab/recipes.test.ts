import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Container, type DockerOptions, type Host, startDocker } from '../../src/lab/index.ts';
import { needs } from '../support/needs.ts';
import {
  assertAllReach,
  assertPath,
  nth,
  routesOf,
  type Standing,
  withRecipeA,
  withRecipeB,
} from './recipe.ts';

const tools = ['root', 'ip', 'unshare', 'setpriv', 'nsenter', 'etcd', 'nft', 'iptables'];
const engine = ['dockerd', 'docker', 'containerd', 'busybox'];
const DRIVERS = ['native', 'ip'] as const;

function skipFor(driver: (typeof DRIVERS)[number]): string | false {
  return needs(...tools, ...engine, ...(driver === 'native' ? ['native'] : [])) ?? false;
}

async function startEngines(standing: Standing, options: DockerOptions): Promise<Container[]> {
  return Promise.all(
    standing.hosts.map(async (host, index) => {
      const docker = await startDocker(standing.lab.nest, host, options);
      return docker.startContainer(`c${index + 1}`);
    }),
  );
}

const subnetOf = async (host: Host): Promise<string> => {
  const subnet = (await host.subnetFile())?.['FLANNEL_SUBNET'];
  assert.ok(subnet, `${host.name} has FLANNEL_SUBNET`);
  return subnet;
};

async function assertToldA({ hosts, agents }: Standing): Promise<void> {
  for (const [index, host] of hosts.entries()) {
    const agent = nth(agents, index);
    const subnet = (await subnetOf(host)).replace(/\.1\/24$/, '.0/24');
    const wanted = [
      `address ${host.address}, mtu 1500`,
      'waiting for the network config in etcd key /coreos.com/network/config',
      'network 10.100.0.0/16: picking a subnet from 10.100.1.0 ... 10.100.255.0',
      `lease acquired: subnet ${subnet}`,
    ];
    const at = wanted.map((sentence) =>
      agent.lines.findIndex(({ text }) => text.includes(sentence)),
    );
    assert.ok(
      !at.includes(-1),
      `${agent.name} says all of ${wanted.join('; ')}; ${agent.lastWords()}`,
    );
    assert.deepEqual(
      at,
      [...at].sort((a, b) => a - b),
      `${agent.name} says it in this order`,
    );
    await agent.waitFor(/external interface eth0 .*default route/);
    await agent.waitFor('watching for leases under /coreos.com/network/subnets/');
    for (const peer of hosts.filter((other) => other !== host)) {
      const theirs = (await subnetOf(peer)).replace(/\.1\/24$/, '.0/24');
      await agent.waitFor(`subnet added: ${theirs} via ${peer.address}`);
    }
  }
}

async function assertRoutesA({ hosts }: Standing): Promise<void> {
  const host = nth(hosts, -1);
  const [first, second, ...rest] = await routesOf(host);
  assert.equal(first, 'default via 10.10.10.1 dev eth0');
  assert.equal(second, `10.10.10.0/24 dev eth0 proto kernel scope link src ${host.address}`);
  const peers = hosts.filter((other) => other !== host);
  const wanted = await Promise.all(
    peers.map(async (peer) => {
      const subnet = (await subnetOf(peer)).replace(/\.1\/24$/, '.0/24');
      return `${subnet} via ${peer.address} dev eth0 proto N`;
    }),
  );
  const found = rest.map((line) => line.replace(/proto \S+$/, 'proto N'));
  assert.deepEqual(found.sort(), wanted.sort());
}

describe('recipe A: four hosts, agents before the config, real Docker engines', () => {
  for (const driver of DRIVERS) {
    for (const ipForward of [false, true]) {
      const name = `driver ${driver}, ip_forward ${Number(ipForward)} at the start: every pair of containers pings`;
      test(name, { skip: skipFor(driver), timeout: 180_000 }, async () => {
        const agent = { args: [`--route-driver=${driver}`] };
        await withRecipeA(4, { ipForward, agent }, async (standing) => {
          console.log(
            `put of the config to all routes (${driver}): ${standing.routesMs.toFixed(0)} ms`,
          );
          await assertToldA(standing);
          await assertRoutesA(standing);
          const last = nth(standing.hosts, -1);
          assert.deepEqual(await last.subnetFile(), {
            FLANNEL_NETWORK: '10.100.0.0/16',
            FLANNEL_SUBNET: await subnetOf(last),
            FLANNEL_MTU: '1500',
            FLANNEL_IPMASQ: 'false',
          });
          await setForwarding(standing.hosts, ipForward);
          const containers = await startEngines(standing, {});
          const policy = `-P FORWARD ${ipForward ? 'ACCEPT' : 'DROP'}`;
          for (const host of standing.hosts) {
            assert.ok((await host.must(['iptables', '-S', 'FORWARD'])).startsWith(policy), policy);
          }
          await assertAllReach(containers);
          await assertPath(containers);
        });
      });
    }
  }
});

/** The order that Docker meets: forwarding still off (its policy becomes DROP), or on already. */
async function setForwarding(hosts: readonly Host[], on: boolean): Promise<void> {
  for (const host of hosts) {
    await host.must(['sh', '-c', `echo ${Number(on)} >/proc/sys/net/ipv4/ip_forward`]);
  }
}

describe("recipe B: flannel's command line, /26 subnets, Docker without iptables", () => {
  for (const driver of DRIVERS) {
    test(`driver ${driver}: both containers ping`, {
      skip: skipFor(driver),
      timeout: 180_000,
    }, async () => {
      await withRecipeB([`-route-driver=${driver}`], async (standing) => {
        for (const host of standing.hosts) {
          assert.match(await subnetOf(host), /^192\.168\.\d+\.(1|65|129|193)\/26$/);
        }
        const keys = [...(await standing.etcd.list('/cluster.hostgw/network/subnets/')).keys()];
        assert.equal(keys.length, 2, keys.join(', '));
        const containers = await startEngines(standing, {
          args: ['--iptables=false', '--ip-masq=false'],
        });
        await assertAllReach(containers);
        await assertPath(containers);
      });
    });
  }
});
