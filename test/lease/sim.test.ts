import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseAddress, parsePrefix, v4 } from '../../src/ip/index.ts';
import type { ConfigState } from '../../src/lease/index.ts';
import { ManualClock } from '../support/clock.ts';
import { seeded } from '../support/seeded.ts';
import { SimEtcd, type SimEvent } from '../support/simEtcd.ts';
import { type Faults, PREFIX, SimHost } from '../support/simHost.ts';

const TTL = 10;
const { SEED, SEEDS } = process.env;
/** `SEED=16` replays one, `SEEDS=20000` runs many. */
const FIRST = Number(SEED ?? 1);
const COUNT = Number(SEEDS ?? (SEED === undefined ? 300 : 1));

function configOf(subnets: number): ConfigState {
  const network = parsePrefix('10.100.0.0/16');
  const min = parseAddress('10.100.1.0');
  assert.ok(network !== undefined && min?.family === 4);
  const max = v4(min.value + (subnets - 1) * 256);
  return {
    kind: 'valid',
    config: { v4: { network, subnetLength: 24, min, max }, v6: undefined },
  };
}

interface World {
  readonly clock: ManualClock;
  readonly etcd: SimEtcd;
  readonly hosts: readonly SimHost[];
  readonly faults: Faults;
  readonly violations: string[];
}

function build(seed: number, hostCount: number, subnets: number): World {
  const random = seeded(seed);
  const clock = new ManualClock();
  const etcd = new SimEtcd(clock);
  const faults: Faults = { loss: 0 };
  const world = { etcd, clock, random, faults, config: configOf(subnets), ttl: TTL };
  const hosts = Array.from(
    { length: hostCount },
    (_, index) => new SimHost(`host${index}`, `10.10.10.${index + 1}`, world),
  );
  const violations: string[] = [];
  const owners = new Map<string, string>();
  const hostOf = (lease: string): string =>
    hosts.find(({ leaseIds }) => leaseIds.has(lease))?.name ?? `nobody (${lease})`;
  const check = (events: readonly SimEvent[]): void => {
    for (const event of events) {
      if (event.type === 'delete') {
        owners.delete(event.key);
        continue;
      }
      const owner = hostOf(event.entry.lease);
      const before = owners.get(event.entry.key);
      if (before !== undefined && before !== owner)
        violations.push(`${owner} wrote over the key ${event.entry.key} of ${before}`);
      owners.set(event.entry.key, owner);
    }
  };
  etcd.watch(check);
  return { clock, etcd, hosts, faults, violations };
}

/** One fault, or the end of one, at random. */
function disturb({ etcd, hosts }: World, random: () => number): void {
  const host = hosts[Math.floor(random() * hosts.length)];
  const other = hosts[Math.floor(random() * hosts.length)];
  if (host === undefined || other === undefined) return;
  const kind = random();
  if (kind < 0.25) host.up ? host.crash() : host.start();
  else if (kind < 0.5) {
    host.cut = !host.cut;
    host.resync();
  } else if (kind < 0.6) {
    const keys = etcd.list();
    const key = keys[Math.floor(random() * keys.length)]?.key;
    if (key !== undefined) etcd.transact({ compare: [], writes: [{ type: 'delete', key }] });
  } else if (kind < 0.7)
    host.setAddress(`10.10.${1 + Math.floor(random() * 200)}.${hosts.indexOf(host) + 1}`);
  else if (kind < 0.75 && host.disk?.held && other.disk?.held) {
    const { address } = host;
    host.setAddress(other.address);
    other.setAddress(address);
  } else host.start();
}

function runSeed(seed: number, hostCount: number, subnets: number): World {
  const random = seeded(seed ^ 0x5eed);
  const world = build(seed, hostCount, subnets);
  for (const host of world.hosts) host.start();
  world.faults.loss = random() * 0.5;
  for (let step = 0; step < 60; step++) {
    world.clock.advance(random() < 0.2 ? random() * 2.5 * TTL * 1000 : random() * 1000);
    disturb(world, random);
  }
  world.faults.loss = 0;
  for (const host of world.hosts) {
    host.start();
    if (host.cut) {
      host.cut = false;
      host.resync();
    }
  }
  world.clock.advance(60_000);
  return world;
}

function settled({ etcd, hosts, violations }: World, subnets: number, where: string): void {
  const complaints = hosts.flatMap((host) => host.complaints);
  assert.deepEqual([...violations, ...complaints], [], where);
  const keys = etcd.list();
  for (const host of hosts) {
    const said = `${where}: ${host.name} says ${host.status?.status}: ${host.status?.sentence}`;
    const mine = keys.filter((entry) => host.leaseIds.has(entry.lease));
    if (host.status?.status === 'held') {
      assert.equal(mine.length, 1, said);
      assert.equal(mine[0]?.key, PREFIX + host.held?.name, said);
      assert.equal(JSON.parse(mine[0]?.value ?? '')?.PublicIP, host.address, said);
    } else if (host.status?.status === 'superseded' || host.status?.status === 'contested') {
      const key = etcd.get(PREFIX + host.disk?.subnet);
      const owner = hosts.find(({ leaseIds }) => leaseIds.has(key?.lease ?? ''));
      assert.ok(owner !== undefined && owner !== host && owner.status?.status === 'held', said);
    } else {
      assert.equal(host.status?.status, 'full', said);
      assert.equal(keys.length, subnets, said);
    }
  }
}

describe('hosts over a simulated etcd', () => {
  test(`${COUNT} seeds of crashes, cuts, lost and late answers, expiry, deleted keys and new addresses: nobody writes over another, all settle`, {
    timeout: 1_200_000,
  }, () => {
    for (let seed = FIRST; seed < FIRST + COUNT; seed++) {
      const subnets = [4, 5, 8, 64][seed % 4] ?? 8;
      settled(runSeed(seed, 5, subnets), subnets, `SEED=${seed}`);
    }
  });

  test("an address that etcd refused proves nothing: a host that comes by the address of its subnet's new holder leaves the key (seed 6040)", () => {
    settled(runSeed(6040, 5, 4), 4, 'SEED=6040');
  });

  test('without faults five hosts that start together with five subnets free all hold one within a second', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const world = build(seed, 5, 5);
      for (const host of world.hosts) host.start();
      world.clock.advance(1000);
      assert.equal(new Set(world.hosts.map((host) => host.held?.name)).size, 5);
      settled(world, 5, `seed ${seed}`);
    }
  });

  test('an outage of ten times the TTL costs no host its subnet', () => {
    const world = build(7, 5, 64);
    for (const host of world.hosts) host.start();
    world.clock.advance(1000);
    const before = world.hosts.map((host) => host.held?.name);
    for (const host of world.hosts) host.cut = true;
    world.clock.advance(10 * TTL * 1000);
    assert.deepEqual(world.etcd.list(), []);
    assert.ok(world.hosts.every((host) => host.status?.status === 'doubtful'));
    for (const host of world.hosts) {
      host.cut = false;
      host.resync();
    }
    world.clock.advance(5000);
    assert.deepEqual(
      world.hosts.map((host) => host.held?.name),
      before,
    );
    settled(world, 64, 'after the outage');
  });

  test('while nothing happens nothing is written', () => {
    const world = build(9, 3, 64);
    for (const host of world.hosts) host.start();
    world.clock.advance(1000);
    const { revision } = world.etcd;
    world.clock.advance(3_600_000);
    assert.equal(world.etcd.revision, revision);
    settled(world, 64, 'after an hour');
  });
});
