/** Leases that must hurt nobody: no host may route by them, or fail to believe the honest ones beside them. */

export const leaseText = (publicIp: string, backend = 'host-gw'): string =>
  JSON.stringify({ PublicIP: publicIp, PublicIPv6: null, BackendType: backend });

const honest = leaseText('10.10.10.9');

export const HOSTILE: readonly (readonly [name: string, value: string])[] = [
  ['0.0.0.0-0', honest],
  ['10.10.10.0-24', honest],
  ['10.10.0.0-16', honest],
  ['10.100.0.0-16', honest],
  ['10.100.200.0-25', honest],
  ['10.200.0.0-24', honest],
  ['127.0.0.0-24', honest],
  ['224.0.0.0-24', honest],
  ['10.100.200.7-24', honest],
  ['10.100.201.0-24', leaseText('10.77.0.9')],
  ['10.100.202.0-24', leaseText('127.0.0.1')],
  ['10.100.203.0-24', leaseText('224.0.0.5')],
  ['10.100.204.0-24', leaseText('10.10.10.255')],
  ['10.100.205.0-24', leaseText('0.0.0.0')],
  ['10.100.206.0-24', leaseText('10.10.10.9', 'vxlan')],
  ['10.100.207.0-24', '{'],
  ['10.100.208.0-24', ''],
  ['10.100.209.0-24', '[1]'],
  ['10.100.210.0-24', `{"PublicIP":"${'9'.repeat(10_000)}","BackendType":"host-gw"}`],
  ['10.100.211.0-24\u0007\n', honest],
  ['', honest],
];
