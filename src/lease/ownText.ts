/** The sentences about our own subnet. */
import type { NetworkConfig, SubnetRange } from '../config/index.ts';
import { parseSubnetName, type Subnets } from './codec.ts';
import type { ConfigState } from './ownTypes.ts';

/** The subnets that a key name of ours names. */
export const subnetsOf = (name: string): Subnets =>
  parseSubnetName(name) ?? { subnet: undefined, subnet6: undefined };

/** `10.100.3.0/24`, `10.100.3.0/24 and fd00:1:2::/64`. */
export function subnetsText(name: string): string {
  const { subnet, subnet6 } = subnetsOf(name);
  return [subnet, subnet6]
    .flatMap((prefix) => (prefix === undefined ? [] : [prefix.text]))
    .join(' and ');
}

const ranges = ({ v4, v6 }: NetworkConfig): SubnetRange[] =>
  [v4, v6].filter((range) => range !== undefined);

/** `10.100.1.0 ... 10.100.255.0`, per family. */
export function rangeText(config: NetworkConfig): string {
  return ranges(config)
    .map(({ min, max }) => `${min.text} ... ${max.text}`)
    .join(' and ');
}

/** `departed`: the subnet that is picked is another host's of once. */
export function pickingText(
  config: NetworkConfig,
  departed?: { readonly name: string; readonly holder: string | undefined },
): string {
  const networks = ranges(config).map(({ network }) => network.text);
  const network = `network ${networks.join(' and ')}`;
  if (departed === undefined) return `${network}: picking a subnet from ${rangeText(config)}`;
  const whose = `which ${departed.holder || 'another host'} held before`;
  return `${network}: picking subnet ${subnetsText(departed.name)}, ${whose}: no other is free`;
}

/** `replaces`: the subnet that we held before and gave up. */
export function heldText(name: string, reservation: boolean, replaces: string | undefined): string {
  const held = `lease acquired: subnet ${subnetsText(name)}${reservation ? ', reserved' : ''}`;
  if (replaces === undefined) return held;
  const before = subnetsText(replaces);
  return `${held}, in place of ${before}: restart Docker, its containers still have addresses of ${before}`;
}

export function fullText(config: NetworkConfig): string {
  const networks = ranges(config).map(({ network }) => network.text);
  return `network ${networks.join(' and ')} is full: no subnet from ${rangeText(config)} is free; waiting until one is freed`;
}

export function configText(config: Exclude<ConfigState, { kind: 'valid' }>, key: string): string {
  if (config.kind === 'missing') return `waiting for the network config in etcd key ${key}`;
  return `waiting for a valid network config in etcd key ${key}: ${config.reason}`;
}
