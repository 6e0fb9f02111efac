/** The forward rules of IPv6: real packets through real nft and ip6tables of both kinds, in network namespaces. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { systemClock } from '../../src/core/index.ts';
import { ForwardRules, type ForwardWanted } from '../../src/host/index.ts';
import { needs } from '../support/needs.ts';
import { until } from '../support/until.ts';
import { address, Lines, never, prefix } from './opened.ts';
import { Namespace } from './world.ts';

const TOOLS = ['ip6tables-nft', 'ip6tables-legacy'] as const;
const skip = needs('root', 'ip', 'unshare', 'nsenter', 'nft', ...TOOLS, 'busybox') ?? false;
const HOST = 'fd00:10::101';
const PEER_HOST = 'fd00:10::102';
const STRANGER = 'fd00:10::9';
const CONTAINER = 'fd00:100:0:1::2';
const PEER_CONTAINER = 'fd00:100:0:2::2';
const wanted: ForwardWanted = {
  uplink: 'eth0',
  v4: undefined,
  v6: { network: prefix('fd00:100::/48'), subnet: prefix('fd00:100:0:1::/64') },
  gateways: [address(PEER_HOST), address('10.10.10.102')],
};

/** What Docker 28 does where it keeps ip6tables: whatever is not published is dropped, twice, and sources are hidden. */
const docker = (tool: string): string => `
  ${tool} -w 5 -P FORWARD DROP
  ${tool} -w 5 -A FORWARD -i docker0 ! -o docker0 -j ACCEPT
  ${tool} -w 5 -A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
  ${tool} -w 5 -t raw -A PREROUTING -d ${CONTAINER}/128 ! -i docker0 -j DROP
  ${tool} -w 5 -t nat -A POSTROUTING -s fd00:100:0:1::/64 ! -o docker0 -j MASQUERADE`;

/** A host with docker0 and a container, and a LAN on which everybody speaks from one wire. */
async function world(): Promise<Record<'host' | 'lan' | 'box', Namespace>> {
  const [host, lan, box] = await Promise.all([
    Namespace.create(),
    Namespace.create(),
    Namespace.create(),
  ]);
  await host.sh(`
    ip link set lo up
    ip link add eth0 type veth peer name eth0 netns ${lan.pid}
    ip link add docker0 type bridge
    ip link add box type veth peer name eth0 netns ${box.pid}
    ip link set box master docker0
    for link in eth0 docker0 box; do ip link set $link up; done
    ip address add ${HOST}/64 dev eth0 nodad
    ip address add fd00:100:0:1::1/64 dev docker0 nodad
    ip route add fd00:100:0:2::/64 via ${PEER_HOST}
    echo 1 > /proc/sys/net/ipv6/conf/all/forwarding`);
  await lan.sh(`
    ip link set lo up; ip link set eth0 up
    for a in ${PEER_HOST} ${STRANGER}; do ip address add $a/64 dev eth0 nodad; done
    ip address add ${PEER_CONTAINER}/128 dev lo nodad
    nft -f - <<'END'
table ip6 seen {
	set sources { type ipv6_addr; flags dynamic; size 64; }
	chain input { type filter hook input priority 0; tcp flags syn / syn,ack add @sources { ip6 saddr }
	}
}
END`);
  await box.sh(`
    ip link set lo up; ip link set eth0 up
    ip address add ${CONTAINER}/64 dev eth0 nodad
    ip route add default via fd00:100:0:1::1`);
  for (const place of [lan, box]) place.spawn('busybox', 'nc', '-ll', '-p', '80', '-e', 'true');
  return { host, lan, box };
}

describe('forward rules of IPv6', { skip }, () => {
  for (const tool of TOOLS) {
    test(`let peers in through ${tool}, nobody else, and keep sources`, {
      timeout: 60_000,
    }, async () => {
      const { host, lan, box } = await world();
      try {
        const tables = async (): Promise<string> =>
          (await host.run('cat', ['/proc/net/ip6_tables_names'])).stdout;
        const rules = new ForwardRules({
          log: new Lines(),
          clock: systemClock,
          legacyTables: tables,
          run: (file, args, options) => host.run(file === 'ip6tables' ? tool : file, args, options),
        });
        const connects = async (from: Namespace, to: string): Promise<boolean> =>
          (await from.run('busybox', ['nc', '-w', '1', to, '80'])).code === 0;
        const reaches = async (source: string): Promise<boolean> => {
          await lan.sh(`ip route replace ${CONTAINER}/128 via ${HOST} dev eth0 src ${source}`);
          return connects(lan, CONTAINER);
        };
        await until('nothing is shut yet', () => reaches(STRANGER));
        await host.sh(docker(tool));
        assert.equal(await reaches(PEER_CONTAINER), false, 'Docker drops it');
        const status = await rules.ensure(wanted, never);
        assert.deepEqual(status, { kind: 'open', how: `opened in nft and ${tool}` });
        assert.deepEqual(
          [await reaches(PEER_CONTAINER), await reaches(PEER_HOST), await reaches(STRANGER)],
          [true, true, false],
        );
        assert.equal(await connects(box, PEER_CONTAINER), true);
        const seen = await lan.sh('nft list set ip6 seen sources');
        assert.ok(seen.includes(`{ ${CONTAINER} }`), `under its own address: ${seen}`);

        const before = await host.sh(`${tool} -S; ${tool} -t raw -S; nft list table inet hostgw`);
        await rules.ensure(wanted, never);
        const all = `${tool} -S; ${tool} -t raw -S; nft list table inet hostgw`;
        assert.equal(await host.sh(all), before, 'a second time changes nothing');
        assert.equal(await rules.remove(never), undefined);
        const left = await host.sh(`${tool} -S; ${tool} -t raw -S; nft list tables`);
        assert.doesNotMatch(left, /hostgw|DOCKER-USER/);
      } finally {
        await Promise.all([host, lan, box].map((place) => place.close()));
      }
    });
  }
});
