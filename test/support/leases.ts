/** Short ways to write leases, prefixes and surroundings in tests. */
import assert from 'node:assert/strict';
import type { NetworkConfig, SubnetRange } from '../../src/config/network.ts';
import { type Address, type Prefix, parseAddress, parsePrefix } from '../../src/ip/index.ts';
import { type ReadLease, readLease } from '../../src/lease/codec.ts';
import type { Lease, Surroundings } from '../../src/lease/index.ts';

export function address(text: string): Address {
  const parsed = parseAddress(text);
  assert.ok(parsed !== undefined, `${text} is no address`);
  return parsed;
}

export function prefix(text: string): Prefix {
  const parsed = parsePrefix(text);
  assert.ok(parsed !== undefined, `${text} is no prefix`);
  return parsed;
}

export function range(network: string, length: number, min: string, max: string): SubnetRange {
  return {
    network: prefix(network),
    subnetLength: length,
    min: address(min),
    max: address(max),
  };
}

export const NETWORK: NetworkConfig = {
  v4: range('10.100.0.0/16', 24, '10.100.1.0', '10.100.255.0'),
  v6: undefined,
};

export const DUAL: NetworkConfig = {
  v4: NETWORK.v4,
  v6: range('fd00:1::/48', 64, 'fd00:1:0:1::', 'fd00:1:0:ffff::'),
};

export const SURROUNDINGS: Surroundings = {
  localAddresses: [address('10.10.10.104'), address('127.0.0.1'), address('fd00:9::104')],
  connected: [prefix('10.10.10.0/24'), prefix('fd00:9::/64')],
  onLink: [prefix('10.10.10.0/24'), prefix('fd00:9::/64')],
  defaultGateways: [address('10.10.10.1')],
};

export interface StoredFields {
  readonly etcdLease?: string;
  readonly created?: number;
  readonly modified?: number;
}

export function valueText(publicIp: string, publicIp6: string | null = null): string {
  return JSON.stringify({ PublicIP: publicIp, PublicIPv6: publicIp6, BackendType: 'host-gw' });
}

export function read(name: string, value: string, fields: StoredFields = {}): ReadLease {
  const createRevision = fields.created ?? 5;
  const modRevision = fields.modified ?? createRevision;
  const entry = { key: name, value, createRevision, modRevision, lease: fields.etcdLease ?? '77' };
  return readLease(name, entry);
}

export function lease(name: string, publicIp: string, fields: StoredFields = {}): Lease {
  const result = read(name, valueText(publicIp), fields);
  assert.ok(result.kind === 'lease', result.kind === 'malformed' ? result.reason : '');
  return result.lease;
}
