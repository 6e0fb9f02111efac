/** A host with several interfaces and addresses, as `ip` prints it, for the choice of an uplink. */
import assert from 'node:assert/strict';
import { parseHostFacts } from '../../src/host/facts.ts';
import type { UplinkOptions } from '../../src/host/uplink.ts';
import { type Address, parseAddress } from '../../src/ip/index.ts';

export const address = (text: string): Address => parseAddress(text) ?? assert.fail(text);
export const texts = (values: readonly { readonly text: string }[]): string[] =>
  values.map(({ text }) => text);
export const none: UplinkOptions = {
  iface: [],
  ifaceRegex: [],
  ifaceCanReach: undefined,
  publicIp: undefined,
  publicIpv6: undefined,
};

const link = (ifindex: number, ifname: string, kind: string, addr_info: unknown[]) => ({
  ifindex,
  ifname,
  flags: ['UP', 'LOWER_UP'],
  mtu: 1400 + ifindex,
  link_type: kind === 'loopback' ? 'loopback' : 'ether',
  ...(kind === 'loopback' ? {} : { linkinfo: { info_kind: kind } }),
  addr_info,
});
const inet = (local: string, prefixlen: number, more = {}) => ({
  local,
  prefixlen,
  scope: 'global',
  ...more,
});

/** eth0 with two addresses and the default route, eth1 without, docker0, VIPs on lo. */
export const facts = parseHostFacts({
  addresses: JSON.stringify([
    link(1, 'lo', 'loopback', [
      inet('127.0.0.1', 8, { scope: 'host' }),
      inet('10.10.10.250', 32),
      inet('203.0.113.1', 32),
    ]),
    link(2, 'eth0', 'veth', [
      inet('169.254.3.3', 16, { scope: 'link' }),
      inet('10.10.10.101', 24),
      inet('10.10.10.111', 24, { secondary: true }),
      inet('fe80::1', 64, { scope: 'link' }),
      inet('fd00::9', 64, { temporary: true }),
      inet('fd00::5', 64),
    ]),
    link(3, 'eth1', 'veth', [inet('192.168.7.1', 24)]),
    link(4, 'docker0', 'bridge', [inet('10.100.1.1', 24)]),
    link(5, 'wg0', 'wireguard', []),
    { ifname: 'no index' },
    null,
  ]),
  routes: [
    {
      family: 4,
      text: JSON.stringify([
        { dst: '10.10.10.0/24', dev: 'eth0', protocol: 'kernel', scope: 'link' },
        { dst: '192.168.7.0/24', dev: 'eth1', scope: 'link' },
        { dst: '10.100.1.0/24', dev: 'docker0', scope: 'link' },
        { dst: '172.16.0.9', dev: 'eth1', scope: 'link' },
        { dst: '10.5.0.0/16', dev: 'eth0', via: { family: 'inet6', host: 'fe80::1' } },
        { type: 'blackhole', dst: '10.3.0.0/16', dev: 'eth0' },
        { dst: '10.4.0.0/16', dev: 'gone0' },
        { dst: 'nonsense', dev: 'eth0' },
      ]),
    },
    {
      family: 4,
      text: JSON.stringify([
        { dst: 'default', gateway: '192.168.7.254', dev: 'eth1', metric: 200 },
        { dst: 'default', metric: 50, nexthops: [{ gateway: '10.10.10.1', dev: 'eth0' }] },
      ]),
    },
    { family: 6, text: JSON.stringify([{ dst: 'fd00::/64', dev: 'eth0' }]) },
    { family: 6, text: '' },
  ],
});
