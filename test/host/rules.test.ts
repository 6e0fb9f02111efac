import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  compareChain,
  type ForwardWanted,
  iptablesRules,
  nftScript,
  refusal,
} from '../../src/host/forward/rules.ts';
import { type Address, type Prefix, parseAddress, parsePrefix, v4 } from '../../src/ip/index.ts';

const prefix = (text: string): Prefix => parsePrefix(text) ?? assert.fail(text);
const address = (text: string): Address => parseAddress(text) ?? assert.fail(text);

const wanted: ForwardWanted = {
  uplink: 'eth0.100',
  v4: { network: prefix('10.100.0.0/16'), subnet: prefix('10.100.1.0/24') },
  v6: undefined,
  gateways: ['10.10.10.103', '10.10.10.102', '10.100.9.9', '10.10.10.102', 'fd00::1'].map(address),
};
const MARKED = '-m mark --mark 0x4847/0xffff -m comment --comment hostgw -j ACCEPT';
const OUT = '-s 10.100.1.0/24 -d 10.100.0.0/16 -o eth0.100 -m comment --comment hostgw -j ACCEPT';

describe('the nft table', () => {
  test('marks peers before everything, guards, keeps sources and takes the mark off again', () => {
    assert.equal(
      nftScript(wanted),
      `add table inet hostgw
delete table inet hostgw
table inet hostgw {
	set peers {
		type ipv4_addr
		flags interval
		elements = { 10.100.0.0/16, 10.10.10.102, 10.10.10.103 }
	}
	chain from_peers {
		type filter hook prerouting priority -350; policy accept;
		iifname "eth0.100" ip daddr 10.100.1.0/24 ip saddr @peers meta mark set meta mark and 0xffff0000 or 0x4847
	}
	chain guard {
		type filter hook forward priority -10; policy accept;
		iifname "eth0.100" ip daddr 10.100.1.0/24 meta mark and 0xffff != 0x4847 ct state != { established, related } ct status and dnat == 0 drop
	}
	chain keep {
		type nat hook postrouting priority 90; policy accept;
		ip saddr 10.100.0.0/16 ip daddr 10.100.0.0/16 snat ip to ip saddr
	}
	chain unmark {
		type filter hook postrouting priority -160; policy accept;
		meta mark and 0xffff == 0x4847 meta mark set meta mark and 0xffff0000
	}
}
`,
    );
  });

  test('says the same of each family that is carried, and only of those', () => {
    const v6 = { network: prefix('fd00:100::/48'), subnet: prefix('fd00:100:0:3::/64') };
    const gateways = ['fd00:9::103', '10.10.10.102', 'fd00:9::102', 'fd00:100::7'].map(address);
    const dual = nftScript({ ...wanted, v6, gateways });
    for (const line of [
      'type ipv6_addr',
      'elements = { 10.100.0.0/16, 10.10.10.102 }',
      'elements = { fd00:100::/48, fd00:9::102, fd00:9::103 }',
      'iifname "eth0.100" ip daddr 10.100.1.0/24 ip saddr @peers meta mark set meta mark and 0xffff0000 or 0x4847',
      'iifname "eth0.100" ip6 daddr fd00:100:0:3::/64 ip6 saddr @peers6 meta mark set meta mark and 0xffff0000 or 0x4847',
      'iifname "eth0.100" ip6 daddr fd00:100:0:3::/64 meta mark and 0xffff != 0x4847 ct state != { established, related } ct status and dnat == 0 drop',
      'ip6 saddr fd00:100::/48 ip6 daddr fd00:100::/48 snat ip6 to ip6 saddr',
    ])
      assert.ok(dual.split(/\n\t*/).includes(line), `${line} in ${dual}`);
    const alone = nftScript({ ...wanted, v4: undefined, v6, gateways });
    assert.doesNotMatch(alone, /ip saddr|ip daddr|ipv4_addr|10\.1/);
    assert.deepEqual(iptablesRules({ ...wanted, v4: undefined, v6 }, 4, true), []);
    assert.match(
      JSON.stringify(iptablesRules({ ...wanted, v6 }, 6, true)),
      /-s fd00:100:0:3::\/64 -d/,
    );
  });

  test('is the same text for the same gateways in any order', () => {
    const gateways = fc.array(fc.integer({ min: 0, max: 2 ** 32 - 1 }).map(v4), { maxLength: 20 });
    fc.assert(
      fc.property(gateways, (list) => {
        const there = nftScript({ ...wanted, gateways: list });
        const back = nftScript({ ...wanted, gateways: [...list, ...list].reverse() });
        assert.equal(back, there);
      }),
    );
  });
});

describe('names that would break out of a rule', () => {
  for (const uplink of ['eth0"; flush ruleset; "', 'eth*', 'eth+', '', 'a b', 'x'.repeat(16)]) {
    test(`${JSON.stringify(uplink)} is refused`, () => {
      assert.match(refusal({ ...wanted, uplink }) ?? '', /cannot be used in firewall rules/);
    });
  }
  test('a VLAN on a bond is not', () => {
    assert.equal(refusal({ ...wanted, uplink: 'bond0.4094' }), undefined);
  });
});

describe('the iptables rules', () => {
  const short = (marking: boolean): string[] =>
    iptablesRules(wanted, 4, marking).map(
      ({ table, chain, place, spec }) => `${table} ${chain} ${place} ${spec}`,
    );

  test('accept the mark in raw and DOCKER-USER, and the way out behind everybody', () => {
    assert.deepEqual(short(true), [
      `raw PREROUTING first ${MARKED}`,
      `filter DOCKER-USER first ${MARKED}`,
      'filter FORWARD first -j DOCKER-USER',
      `filter FORWARD last ${OUT}`,
    ]);
  });

  test('accept by address where no table sets the mark', () => {
    const plain =
      '-s 10.100.0.0/16 -d 10.100.1.0/24 -i eth0.100 -m comment --comment hostgw -j ACCEPT';
    assert.deepEqual(
      short(false).filter((rule) => !short(true).includes(rule)),
      [`raw PREROUTING first ${plain}`, `filter DOCKER-USER first ${plain}`],
    );
  });
});

describe('comparing a chain', () => {
  const rules = iptablesRules(wanted, 4, true).filter(({ chain }) => chain === 'FORWARD');

  test('finds nothing to do where all is there, in any place', () => {
    const listing = `-P FORWARD DROP\n-A FORWARD -j DOCKER-USER\n-A FORWARD -o docker0 -j DOCKER\n-A FORWARD ${OUT}\n`;
    assert.deepEqual(compareChain(listing, rules), { missing: [], stale: [] });
  });

  test('adds what is missing, deletes what was ours before, and each rule that stands twice', () => {
    const old = OUT.replace('10.100.1.0', '10.100.7.0');
    const listing = `-P FORWARD DROP\n-A FORWARD ${OUT}\n-A FORWARD ${old}\n-A FORWARD ${OUT}\n`;
    const { missing, stale } = compareChain(listing, rules);
    assert.deepEqual(
      missing.map(({ spec }) => spec),
      ['-j DOCKER-USER'],
    );
    assert.deepEqual(stale, [old, OUT]);
  });

  test('never calls a rule of others stale', () => {
    const listing = [
      '-A FORWARD -s 10.100.7.0/24 -j ACCEPT',
      '-A FORWARD -m comment --comment hostgw2 -j DROP',
      '-A FORWARD -m comment --comment "not hostgw" -j DROP',
    ].join('\n');
    assert.deepEqual(compareChain(listing, []).stale, []);
  });

  test('reads a comment in quotes as the same rule', () => {
    const quoted = OUT.replace('--comment hostgw', '--comment "hostgw"');
    const { missing } = compareChain(`-A FORWARD ${quoted}\n-A FORWARD -j DOCKER-USER\n`, rules);
    assert.deepEqual(missing, []);
  });
});
