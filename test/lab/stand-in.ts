/** What agents do for a lab, by hand: subnet files and routes, to test the lab itself without them. */
import type { Host } from '../../src/lab/index.ts';

/** Host number i (from 1) gets 10.100.i.0/24. */
export async function standInSubnet(hosts: readonly Host[]): Promise<void> {
  await Promise.all(
    hosts.map(async (host, index) => {
      const file = `FLANNEL_NETWORK=10.100.0.0/16\nFLANNEL_SUBNET=10.100.${index + 1}.1/24\nFLANNEL_MTU=1500\nFLANNEL_IPMASQ=false\n`;
      await host.must(['sh', '-c', 'cat >/run/flannel/subnet.env'], { input: file });
    }),
  );
}

export async function standInRoutes(hosts: readonly Host[]): Promise<void> {
  await Promise.all(
    hosts.map(async (host) => {
      const routes = hosts.flatMap((peer, index) =>
        peer === host ? [] : [`route add 10.100.${index + 1}.0/24 via ${peer.address}\n`],
      );
      await host.must(['ip', '-batch', '-'], { input: routes.join('') });
      await host.must(['sh', '-c', 'echo 1 >/proc/sys/net/ipv4/ip_forward']);
    }),
  );
}
