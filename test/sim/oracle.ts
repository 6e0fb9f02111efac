/**
 * What etcd's leases ask of a host, told without the agent's own code: which of them are honest, whose each key is, and
 * the routes that a host should have.
 */
import { type AgentHost, type AgentWorld, SUBNETS } from '../support/agentWorld.ts';
import type { SimKey } from '../support/simEtcd.ts';

export interface HonestLease {
  /** Like `10.100.3.0/24`. */
  readonly subnet: string;
  readonly gateway: string;
}

/** Host k of a simulation has addresses of 10.10.10.0/24; everything else is hostile, or another's business. */
const KEY = /^10\.100\.\d{1,3}\.0-24$/;
const GATEWAY = /^10\.10\.10\.\d{1,3}$/;

/** The lease that a key holds, if every host that is not its owner should believe it. */
export function honestLease({ key, value }: SimKey): HonestLease | undefined {
  const name = key.slice(SUBNETS.length);
  if (!key.startsWith(SUBNETS) || !KEY.test(name)) return undefined;
  const lease = parsed(value);
  const gateway = lease['PublicIP'];
  if (typeof gateway !== 'string' || !GATEWAY.test(gateway) || gateway.endsWith('.255'))
    return undefined;
  if (lease['BackendType'] !== 'host-gw') return undefined;
  return { subnet: name.replace('-', '/'), gateway };
}

/** The routes of `host`, if its kernel is as the leases say. */
export function wantedRoutes(world: AgentWorld, host: AgentHost): string[] {
  const own = host.machine.state?.subnet.replace('-', '/');
  return world.etcd
    .under(SUBNETS)
    .flatMap((entry) => honestLease(entry) ?? [])
    .filter(({ subnet, gateway }) => subnet !== own && gateway !== host.address)
    .map(({ subnet, gateway }) => `${subnet} via ${gateway}`)
    .sort();
}

/** The host one of whose agents chose this etcd lease. */
export const ownerOf = (hosts: readonly AgentHost[], { lease }: SimKey): AgentHost | undefined =>
  hosts.find(({ leaseIds }) => leaseIds.has(lease));

export function addressIn(value: string): string | undefined {
  const address = parsed(value)['PublicIP'];
  return typeof address === 'string' ? address : undefined;
}

function parsed(value: string): Record<string, unknown> {
  try {
    const json: unknown = JSON.parse(value);
    return typeof json === 'object' && json !== null ? { ...json } : {};
  } catch {
    return {};
  }
}
