/**
 * One run of whole agents by its seed: they start, faults strike, each step is held against the laws; then every fault
 * ends, and all must settle. The same seed is the same run, step by step.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { AgentWorld, CONFIG_KEY } from '../support/agentWorld.ts';
import { Faults } from './faults.ts';
import { Laws } from './laws.ts';
import { unsettled } from './settled.ts';

const HOSTS = 5;
const STRIKES = 30;
const TTL_SECONDS = 30;
const DISK_MS = 3;
/** All is settled so long after the last fault, and what it leaves behind by design, is over. */
const SETTLED_MS = 5_000;
const CALM_MS = 10_000;
/** The longest pause between two tries of the etcd lease and our own key. */
const RETRY_MS = 5_000;
/**
 * The longest pauses that a kind of fault leaves behind: a failed or contested route is tried again after at most 30 s;
 * a default route that returns is announced by nobody, and so is looked for every 30 s.
 */
const LEFT_BEHIND_MS: Readonly<Record<string, number>> = {
  driver: 30_000,
  rival: 30_000,
  link: 30_000,
  crash: 30_000,
  reimaged: 30_000,
};
const PLENTY = 255;
/** Subnets of the network: hardly enough for all, or plenty. */
const SUBNETS_OF = [HOSTS, HOSTS + 1, HOSTS + 3, PLENTY] as const;

export interface Outcome {
  readonly hash: string;
  /** How long after the faults ended all was settled. */
  readonly settledMs: number;
  readonly struck: ReadonlySet<string>;
}

export async function runSeed(seed: number): Promise<Outcome> {
  const world = new AgentWorld(seed, { leaseTtlSeconds: TTL_SECONDS });
  const { random, etcd } = world;
  const subnets = SUBNETS_OF[Math.floor(random() * SUBNETS_OF.length)] ?? HOSTS;
  const config = configOf(subnets);
  const laws = new Laws(world);
  for (let i = 0; i < HOSTS; i += 1) {
    const host = world.place({ address: `10.10.10.${101 + i}` });
    host.machine.diskMs = DISK_MS;
    laws.add(host);
  }
  const faults = new Faults(world, config);
  try {
    etcd.put(CONFIG_KEY, config);
    for (const host of world.hosts) host.start();
    for (let strike = 0; strike < STRIKES; strike += 1) {
      await wait(world);
      laws.calm();
      await faults.strike();
    }
    await wait(world);
    faults.heal();
    const left = [...faults.struck].map((kind) => LEFT_BEHIND_MS[kind] ?? 0);
    // Where hardly a subnet is free, one of a host that is gone is so when its lease has run out.
    const scarce = subnets < PLENTY ? TTL_SECONDS * 1000 : 0;
    const most = Math.max(RETRY_MS, scarce, ...left) + SETTLED_MS;
    const settledMs = await settle(world, laws, subnets, most);
    return { hash: hashOf(world), settledMs, struck: faults.struck };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    const story = [`weights: ${faults.weights}`, ...faults.story].join('\n');
    throw new Error(`SEED=${seed}: ${why}\n${story}\n${world}`, { cause: error });
  } finally {
    await world.close();
  }
}

/** Returns how long it took. What is held then is gone for good: an operator says so. */
async function settle(
  world: AgentWorld,
  laws: Laws,
  subnets: number,
  most: number,
): Promise<number> {
  const begin = world.clock.now();
  const all = () => unsettled(world, subnets);
  while (all().length > 0 && world.clock.now() < begin + most) await world.run(100);
  assert.deepEqual(all(), [], 'not settled in time');
  const took = world.clock.now() - begin;
  for (const host of world.hosts) {
    if (!host.holding) continue;
    laws.confirmed(host);
    host.confirm();
  }
  await world.run(CALM_MS);
  assert.deepEqual(all(), [], 'not settled for good');
  assert.deepEqual(
    world.hosts.filter(({ holding }) => holding).map(({ name }) => name),
    [],
    'what was confirmed is held still',
  );
  return took;
}

/** A few wakes, so that the next fault strikes between any two steps; or a while; or longer than a lease lives. */
async function wait(world: AgentWorld): Promise<void> {
  const kind = world.random();
  const much = world.random();
  if (kind < 0.5) await world.wakes(1 + Math.floor(much * 12));
  else
    await world.run(kind < 0.95 ? Math.floor(10 ** (much * 4)) : much * 2.5 * TTL_SECONDS * 1000);
}

const configOf = (subnets: number): string =>
  JSON.stringify({
    Network: '10.100.0.0/16',
    SubnetMin: '10.100.1.0',
    SubnetMax: `10.100.${subnets}.0`,
    Backend: { Type: 'host-gw' },
  });

/** All that every host did and said, and all that etcd became. */
function hashOf(world: AgentWorld): string {
  const hash = createHash('sha256').update(String(world));
  for (const host of world.hosts) hash.update(host.writes().join('\n'));
  return hash.digest('hex');
}
