/** Somebody's route in words, as `ip route` would say it. */
import type { KernelRoute } from './types.ts';

/** Names of /etc/iproute2/rt_protos for the owners that are met in practice. */
const PROTOCOLS: Readonly<Record<number, string>> = {
  0: 'unknown',
  2: 'kernel',
  3: 'boot',
  4: 'static',
  9: 'ra',
  11: 'zebra',
  12: 'bird',
  16: 'dhcp',
  18: 'keepalived',
  80: 'calico',
  186: 'bgp',
  188: 'ospf',
};
const TYPES: Readonly<Record<number, string>> = {
  2: 'local',
  3: 'broadcast',
  5: 'multicast',
  6: 'blackhole',
  7: 'unreachable',
  8: 'prohibit',
  9: 'throw',
};

export function rowText(rival: KernelRoute, deviceName: (device: number) => string): string {
  const type = TYPES[rival.type] ?? '';
  const via = rival.gateway === undefined ? '' : `via ${rival.gateway.text}`;
  const dev = rival.device === 0 ? '' : `dev ${deviceName(rival.device)}`;
  const proto = `proto ${PROTOCOLS[rival.protocol] ?? rival.protocol}`;
  // Else it might read just like ours, and nobody would know why it is not taken over.
  const more = rival.more && via !== '' ? 'with options of its own' : '';
  const words = [type, via, dev, proto, `metric ${rival.metric}`, more];
  return words.filter((word) => word !== '').join(' ');
}
