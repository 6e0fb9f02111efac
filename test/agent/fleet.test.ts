import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Chaos, RIVAL_PROTOCOL } from '../support/agentChaos.ts';
import { AgentWorld, CONFIG, CONFIG_KEY, SUBNETS } from '../support/agentWorld.ts';

const { SEED, SEEDS } = process.env;
/** `SEED=16` replays one, `SEEDS=20000` runs many. */
const FIRST = Number(SEED ?? 1);
const COUNT = Number(SEEDS ?? (SEED === undefined ? 100 : 1));
/** Seeds in one test. */
const GROUP = 20;
const EVENTS = 30;
/** The longest pauses are those of a contest for a route and of a default route that comes back unheard: 30 s. */
const HEALED_MS = 120_000;

/** The first subnet of each host, noted as its agent says that it holds it. */
type Subnets = Map<string, string>;

/** What must hold at any moment, whatever happened. */
function check(world: AgentWorld, subnets: Subnets, { deleted, forgetful }: Chaos): void {
  for (const host of world.hosts) {
    assert.deepEqual(host.errors, [], `${host.name} ended by itself`);
    const wrong = host.gaps.filter((gap) => !deleted.has(SUBNETS + gap.replace('/', '-')));
    assert.deepEqual(
      forgetful.has(host) ? [] : wrong,
      [],
      `${host.name} took away routes of leases that etcd never lost`,
    );
    const { subnet } = host;
    if (subnet === undefined) continue;
    assert.equal(subnets.get(host.name) ?? subnet, subnet, `${host.name} has another subnet`);
    subnets.set(host.name, subnet);
    const own = host.routes().filter((route) => route.startsWith(`${subnet} `));
    assert.deepEqual(own, [], `${host.name} routes its own subnet away`);
    const foreign = host.kernel.journal.filter(({ route }) => route.protocol === RIVAL_PROTOCOL);
    assert.deepEqual(foreign, [], `${host.name} touched a rival's route`);
  }
  assert.equal(new Set(subnets.values()).size, subnets.size, 'two hosts have one subnet');
}

/** A pause of a millisecond up to some seconds, the short ones as likely as the long ones. */
const pause = (random: () => number): number => Math.floor(10 ** (random() * 4));

async function story(seed: number): Promise<void> {
  const world = new AgentWorld(seed);
  const chaos = new Chaos(world);
  const subnets: Subnets = new Map();
  try {
    for (const last of [101, 102, 103]) world.agent({ address: `10.10.10.${last}` });
    world.etcd.put(CONFIG_KEY, CONFIG);
    for (let event = 0; event < EVENTS; event += 1) {
      await world.run(pause(world.random));
      check(world, subnets, chaos);
      await chaos.strike();
    }
    chaos.heal();
    await world.until('every kernel is as the leases say', () => world.converged, HEALED_MS);
    await world.run(HEALED_MS);
    check(world, subnets, chaos);
    assert.ok(world.converged, 'it stays so');
    assert.deepEqual(
      world.etcd.under(SUBNETS).map(({ key }) => key.slice(SUBNETS.length).replace('-', '/')),
      [...subnets.values()].sort(),
      'each host has its first subnet in etcd, and nothing else is there',
    );
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    assert.fail(`SEED=${seed}: ${why}\n${chaos.story.join('\n')}\n${world}`);
  } finally {
    await world.close();
  }
}

describe('three agents', () => {
  for (let first = FIRST; first < FIRST + COUNT; first += GROUP) {
    const last = Math.min(first + GROUP, FIRST + COUNT) - 1;
    test(`survive ${EVENTS} events of every kind, seeds ${first} to ${last}`, async () => {
      for (let seed = first; seed <= last; seed += 1) await story(seed);
    });
  }
});
