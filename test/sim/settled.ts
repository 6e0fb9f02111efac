/** When all faults have ended and time has passed: each subnet has one owner, and every kernel is as the leases say. */
import { type AgentHost, type AgentWorld, SUBNETS } from '../support/agentWorld.ts';
import { addressIn, ownerOf, wantedRoutes } from './oracle.ts';

/** What is not settled yet, a line each. `subnets`: how many the network has. */
export function unsettled(world: AgentWorld, subnets: number): string[] {
  return world.hosts.flatMap((host) =>
    [...subnetTrouble(world, host, subnets), ...routeTrouble(world, host)].map(
      (what) => `${host.name} ${what}`,
    ),
  );
}

/** A host that says that it holds routes may have more than the leases ask for, until an operator confirms. */
function routeTrouble(world: AgentWorld, host: AgentHost): string[] {
  const routes = host.routes();
  const wanted = wantedRoutes(world, host);
  const there = host.holding ? routes.filter((route) => wanted.includes(route)) : routes;
  if (there.join() === wanted.join()) return [];
  return [`has routes [${routes.join(', ')}], not [${wanted.join(', ')}]`];
}

/** Holds its subnet in etcd at its address; or another agent holds it; or none is left. */
function subnetTrouble({ etcd, hosts }: AgentWorld, host: AgentHost, subnets: number): string[] {
  const name = host.machine.state?.subnet;
  const entry = name === undefined ? undefined : etcd.store.get(SUBNETS + name);
  const owner = entry && ownerOf(hosts, entry);
  if (entry === undefined || name === undefined) {
    const full = etcd.under(SUBNETS).length >= subnets;
    return full ? [] : [`has no key in etcd for its subnet ${name}`];
  }
  if (owner !== undefined && owner !== host) {
    const held = owner.machine.state?.subnet === name && owner.ready;
    return held ? [] : [`has lost its subnet ${name} to ${owner.name}, which does not hold it`];
  }
  const why: string[] = [];
  if (addressIn(entry.value) !== host.address) why.push(`is not at ${addressIn(entry.value)}`);
  if (host.subnet !== name.replace('-', '/')) why.push(`does not say that it holds ${name}`);
  if (!host.ready) why.push(`is not ready: ${host.readyz()}`);
  return why;
}
