/**
 * What must hold after every step of a simulation, whatever happened (docs/architecture.md, What must always hold).
 * Each law is a sentence; the first that is broken ends the run.
 */
import assert from 'node:assert/strict';
import type { Transaction, TransactionResult } from '../../src/etcd/index.ts';
import { type AgentHost, type AgentWorld, OPTIONS, SUBNETS } from '../support/agentWorld.ts';
import type { SimEtcd, SimEvent, SimKey } from '../support/simEtcd.ts';
import { addressIn, honestLease, ownerOf } from './oracle.ts';

/** What one host has been seen to do, and what it may do. */
interface Record {
  /** Steps of its kernel and gaps that have been looked at. */
  journal: number;
  gaps: number;
  life: number;
  /** Held in this life. */
  subnet: string | undefined;
  /** Prefixes that etcd lost, or gave to another, since this host was last seen to have their routes rightly. */
  readonly lost: Set<string>;
}

export class Laws {
  readonly #world: AgentWorld;
  readonly #records = new Map<AgentHost, Record>();
  /** Every route that an honest lease ever asked for. */
  readonly #honest = new Set<string>();
  readonly #prefixes = new Set<string>();
  #store: SimEtcd;
  #values = new Map<string, string>();

  /** From now on `world` is looked at after each step. */
  constructor(world: AgentWorld) {
    this.#world = world;
    this.#store = world.etcd.store;
    world.etcd.follow((events) => this.#heard(events));
    world.onStep = () => this.check();
  }

  /** A host whose agent is not started yet. */
  add(host: AgentHost): void {
    this.#records.set(host, {
      journal: 0,
      gaps: 0,
      life: 0,
      subnet: undefined,
      lost: new Set(),
    });
    host.etcd.onTransact = (transaction, result, before) =>
      this.#transacted(host, transaction, result, before);
  }

  check(): void {
    for (const [host, record] of this.#records) {
      if (host.errors.length > 0) assert.fail(`${host.name} ended by itself: ${host.errors}`);
      this.#checkSubnet(host, record);
      if (host.kernel.journal.length > record.journal) this.#checkKernel(host, record);
    }
  }

  /** What `host` holds may go: an operator has said so. */
  confirmed(host: AgentHost): void {
    for (const prefix of this.#prefixes) this.#records.get(host)?.lost.add(prefix);
  }

  /** Between two faults: whoever has what etcd says has no reason left to take it away. */
  calm(): void {
    for (const [host, { lost }] of this.#records) {
      if (lost.size === 0 || !host.running || !host.etcd.upToDate) continue;
      const routes = new Set(host.routes());
      for (const entry of this.#store.list()) {
        const lease = honestLease(entry);
        if (lease && routes.has(`${lease.subnet} via ${lease.gateway}`)) lost.delete(lease.subnet);
      }
    }
  }

  /** A subnet is for life: an agent holds what the disk named as held at its start, or nothing, and never another. */
  #checkSubnet(host: AgentHost, record: Record): void {
    if (host.lives !== record.life) {
      record.life = host.lives;
      const { stateAtStart } = host;
      record.subnet = stateAtStart?.held ? stateAtStart.subnet.replace('-', '/') : undefined;
    }
    const { subnet } = host;
    if (subnet === undefined || subnet === record.subnet) return;
    assert.equal(record.subnet, undefined, `${host.name} gave its subnet up for ${subnet}`);
    record.subnet = subnet;
  }

  #checkKernel(host: AgentHost, record: Record): void {
    for (const { kind, route, result } of host.kernel.journal.slice(record.journal)) {
      const text = `${route.prefix.text} via ${route.gateway?.text}`;
      // A lease whose gateway is an address of this host is not believed.
      if (host.addresses.has(route.gateway?.text ?? '')) record.lost.add(route.prefix.text);
      if (result !== 'done') continue;
      assert.equal(route.protocol, OPTIONS.routeProtocol, `${host.name} touched ${text}, not ours`);
      if (kind === 'delete') continue;
      assert.ok(this.#honest.has(text), `${host.name} added ${text}, which no honest lease asks`);
      const own = record.subnet === route.prefix.text;
      assert.ok(!own, `${host.name} routes its own subnet ${text} away`);
    }
    record.journal = host.kernel.journal.length;
    for (const prefix of host.gaps.slice(record.gaps)) {
      const what = `${host.name} took the last route to ${prefix} away`;
      assert.ok(host.etcd.complete, `${what} before it had a whole live view`);
      // Without state and view it knows nothing that etcd could contradict: its word counts, mass losses apart.
      const remembers = host.stateAtStart !== undefined || host.viewAtStart !== undefined;
      // Nor is a lease believed that names an address which is this host's by now.
      const named = addressIn(this.#values.get(SUBNETS + prefix.replace('/', '-')) ?? '');
      const isHere = named !== undefined && host.addresses.has(named);
      const may = !remembers || isHere || record.lost.has(prefix);
      assert.ok(may, `${what}, whose lease etcd never lost`);
    }
    record.gaps = host.gaps.length;
  }

  /** Every write is conditional, deletes nothing, and changes no other host's key; a host has one key. */
  #transacted(
    host: AgentHost,
    { compare, writes }: Transaction,
    { succeeded }: TransactionResult,
    before: readonly SimKey[],
  ): void {
    for (const write of writes) {
      const { key } = write;
      const what = `${host.name} wrote ${key}`;
      assert.ok(
        compare.some((condition) => condition.key === key),
        `${what} unconditionally`,
      );
      assert.equal(write.type, 'put', `${what}: a delete`);
      const old = before.find((entry) => entry.key === key);
      if (succeeded && old !== undefined)
        assert.ok(this.#mayReplace(host, old), `${what} over ${old.value} of ${old.lease}`);
    }
    if (!succeeded || host.reimaged) return;
    const keys = this.#store.list().filter(({ lease }) => host.leaseIds.has(lease));
    const names = keys.map(({ key }) => key.slice(SUBNETS.length));
    assert.ok(names.length <= 1, `${host.name} has two keys: ${names.join(' and ')}`);
  }

  /** Ours by the etcd lease that we chose; by address only where the key hangs on none that another host chose. */
  #mayReplace(host: AgentHost, old: SimKey): boolean {
    const owner = ownerOf(this.#world.hosts, old);
    if (owner !== undefined) return owner === host;
    const address = addressIn(old.value);
    return address !== undefined && host.addresses.has(address);
  }

  #heard(events: readonly SimEvent[]): void {
    const { store } = this.#world.etcd;
    if (store !== this.#store) {
      // Wiped or restored: what is gone by that is not lost, it must be held.
      this.#store = store;
      const before = this.#values;
      this.#values = new Map();
      for (const entry of store.list()) this.#put(entry, before.get(entry.key));
      return;
    }
    for (const event of events) {
      if (event.type === 'put') this.#put(event.entry, this.#values.get(event.entry.key));
      else {
        this.#values.delete(event.key);
        this.#lose(event.key);
      }
    }
  }

  #put(entry: SimKey, before: string | undefined): void {
    const { key, value } = entry;
    this.#values.set(key, value);
    if (before !== undefined && before !== value) this.#lose(key);
    const lease = honestLease(entry);
    if (lease === undefined) return;
    this.#honest.add(`${lease.subnet} via ${lease.gateway}`);
    this.#prefixes.add(lease.subnet);
  }

  #lose(key: string): void {
    for (const { lost } of this.#records.values()) lost.add(prefixOf(key));
  }
}

const prefixOf = (key: string): string => key.slice(SUBNETS.length).replace('-', '/');
