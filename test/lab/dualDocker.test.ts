/** Real Docker engines in a dual-stack network: containers reach each other in both families, under their own addresses. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Host, startDocker } from '../../src/lab/index.ts';
import { needs } from '../support/needs.ts';
import { until } from '../support/until.ts';
import { withDual } from './dual.ts';

const tools = ['root', 'ip', 'unshare', 'setpriv', 'nsenter', 'etcd', 'nft', 'iptables'];
const skip = needs(...tools, 'dockerd', 'docker', 'containerd', 'busybox', 'ip6tables') ?? false;

for (const ip6tables of [false, true]) {
  const name = ip6tables ? 'that keeps ip6tables too' : "with Docker's defaults";
  test(`containers of engines reach each other in both families, ${name}`, {
    skip,
    timeout: 120_000,
  }, async () => {
    await withDual('dual', 2, async ({ lab, hosts }) => {
      const own6 = await Promise.all(hosts.map(subnet6));
      const containers = await Promise.all(
        hosts.map(async (host, i) => {
          const args = ['--ipv6', `--fixed-cidr-v6=${own6[i]}`];
          const more = ip6tables ? ['--experimental', '--ip6tables'] : [];
          const engine = await startDocker(lab.nest, host, { args: [...args, ...more] });
          return engine.startContainer(`c${i}`);
        }),
      );
      const addresses6 = await Promise.all(
        containers.map(async (container) => {
          const text = (await container.run(['ip', '-6', 'addr', 'show', 'dev', 'eth0'])).stdout;
          return /inet6 (fd00:100:[^/]+)\//.exec(text)?.[1] ?? assert.fail(text);
        }),
      );
      for (const [i, from] of containers.entries()) {
        const to = 1 - i;
        const others = [containers[to]?.address, addresses6[to]].map(String);
        // A container's own address is tentative for a second or two.
        await until(`c${i} reaches both addresses of c${to}`, async () => {
          const replies = await from.ping(others);
          return others.every((address) => replies.get(address)?.ttl === 62);
        });
      }
    });
  });
}

async function subnet6(host: Host): Promise<string> {
  const file = await host.subnetFile();
  return file?.['FLANNEL_IPV6_SUBNET'] ?? assert.fail('no FLANNEL_IPV6_SUBNET');
}
