/** How often a host is looked at where nobody hints at a change: everything, or only what gives no hint. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AgentWorld, CONFIG, CONFIG_KEY } from '../support/agentWorld.ts';

const TEN_MINUTES_MS = 600_000;

/** How often it is done in ten minutes in which nothing happens. */
async function looks(hearsSurroundings: boolean): Promise<{ facts: number; forwarding: number }> {
  const world = new AgentWorld();
  world.etcd.put(CONFIG_KEY, CONFIG);
  const host = world.place({ address: '10.10.10.101' });
  host.hearsSurroundings = hearsSurroundings;
  host.start();
  await world.until('READY', () => host.machine.deeds.includes('READY'));
  await world.run(60_000);
  const { machine } = host;
  const before = { facts: machine.factsRead, deeds: machine.deeds.length };
  await world.run(TEN_MINUTES_MS);
  const facts = machine.factsRead - before.facts;
  const forwarding = machine.deeds.slice(before.deeds).filter((deed) => deed === 'forwarding');
  await world.close();
  return { facts, forwarding: forwarding.length };
}

test('links and routes are read each half minute where not all changes are heard', async () => {
  const { facts, forwarding } = await looks(false);
  assert.ok(facts >= 19 && facts <= 20, `${facts} times`);
  assert.ok(forwarding >= 19, `${forwarding} times`);
});

test('where they are, they are read each five minutes, and what gives no hint as often as before', async () => {
  const { facts, forwarding } = await looks(true);
  assert.ok(facts >= 1 && facts <= 2, `${facts} times`);
  assert.ok(forwarding >= 19, `${forwarding} times`);
});
