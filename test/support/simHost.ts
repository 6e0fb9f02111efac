/** One host of a simulation: the real keeper and the real core of our own subnet over a SimEtcd, with every fault a network has. */
import { type Clock, drive, type Random, type Send } from '../../src/core/index.ts';
import { parseAddress } from '../../src/ip/index.ts';
import {
  type ConfigState,
  type HeldSubnet,
  Keeper,
  type KeeperInput,
  LeaseView,
  Own,
  type OwnInput,
  type OwnState,
  type OwnStatus,
} from '../../src/lease/index.ts';
import type { SimEtcd } from './simEtcd.ts';

export const PREFIX = '/net/subnets/';

export interface Faults {
  /** Share of calls that fail before, after, or long before etcd does what they ask. */
  loss: number;
}

export class SimHost {
  readonly name: string;
  /** Survives crashes. */
  disk: OwnState | undefined;
  address: string;
  up = false;
  cut = false;
  held: HeldSubnet | undefined;
  status: { readonly status: OwnStatus; readonly sentence: string } | undefined;
  /** Etcd lease ids that this host chose. */
  readonly leaseIds = new Set<string>();
  readonly complaints: string[] = [];
  readonly #etcd: SimEtcd;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #faults: Faults;
  readonly #config: ConfigState;
  readonly #ttl: number;
  #life = new AbortController();
  #own: Send<OwnInput> | undefined;
  #view = new LeaseView(PREFIX);

  constructor(
    name: string,
    address: string,
    world: {
      etcd: SimEtcd;
      clock: Clock;
      random: Random;
      faults: Faults;
      config: ConfigState;
      ttl: number;
    },
  ) {
    this.name = name;
    this.address = address;
    this.#etcd = world.etcd;
    this.#clock = world.clock;
    this.#random = world.random;
    this.#faults = world.faults;
    this.#config = world.config;
    this.#ttl = world.ttl;
  }

  start(): void {
    if (this.up) return;
    this.up = true;
    this.held = undefined;
    this.#life = new AbortController();
    this.#view = new LeaseView(PREFIX);
    const { signal } = this.#life;
    const retry = { firstMs: 100, maxMs: 2000 };
    const keeperCore = new Keeper({
      ttlSeconds: this.#ttl,
      retry,
      random: this.#random,
    });
    const ownCore = new Own({
      configKey: '/net/config',
      subnetsPrefix: PREFIX,
      state: this.disk,
      previous: undefined,
      seed: this.name,
      newLeaseId: () => {
        const id = String(1 + Math.floor(this.#random() * 2 ** 40));
        this.leaseIds.add(id);
        return id;
      },
      retry,
      random: this.#random,
    });
    const keeper: Send<KeeperInput> = drive(
      keeperCore,
      (output, send) => {
        if (output.type === 'state') this.#own?.({ type: 'keeper', state: output.state });
        else if (output.type === 'grant')
          this.#call(
            () => this.#etcd.grant(output.id, output.ttl),
            (ttl) => send({ type: 'granted', attempt: output.attempt, ttl }),
            (reason) => send({ type: 'failed', attempt: output.attempt, reason }),
          );
        else
          this.#call(
            () => this.#etcd.keepAlive(output.id),
            (ttl) => send({ type: 'keptAlive', attempt: output.attempt, ttl }),
            (reason) => send({ type: 'failed', attempt: output.attempt, reason }),
          );
      },
      this.#clock,
      signal,
    );
    this.#own = drive(
      ownCore,
      (output, send) => this.#perform(output, send, keeper),
      this.#clock,
      signal,
    );
    this.#own({ type: 'config', config: this.#config });
    this.#sendAddress();
    this.resync();
    const unwatch = this.#etcd.watch((events, revision) => {
      if (this.cut) return;
      // A watch is in order, so its delay is the same for all.
      this.#later(20, () => {
        if (this.cut) return;
        this.#view.apply({ type: 'changes', revision, events });
        this.#own?.({ type: 'view', revision, leases: this.#view.leases });
      });
    });
    signal.addEventListener('abort', unwatch);
  }

  crash(): void {
    this.up = false;
    this.#life.abort();
    this.#own = undefined;
  }

  setAddress(address: string): void {
    this.address = address;
    this.#sendAddress();
  }

  /** Lists and starts over, as a watch does after a cut. */
  resync(): void {
    if (this.cut || !this.up) return;
    this.#later(20, () => {
      if (this.cut) return;
      const { revision } = this.#etcd;
      this.#view.apply({ type: 'snapshot', revision, entries: this.#etcd.list() });
      this.#own?.({ type: 'view', revision, leases: this.#view.leases });
    });
  }

  #sendAddress(): void {
    this.#own?.({ type: 'addresses', publicIp: parseAddress(this.address), publicIp6: undefined });
  }

  #perform(
    output: ReturnType<Own['handle']>[number],
    send: Send<OwnInput>,
    keeper: Send<KeeperInput>,
  ): void {
    switch (output.type) {
      case 'persist':
        this.#later(2, () => {
          this.disk = output.state;
          send({ type: 'persisted', attempt: output.attempt });
        });
        break;
      case 'want':
        keeper({ type: 'want', id: output.id });
        break;
      case 'transact':
        this.#checkWrite(output.transaction.writes[0]?.lease);
        this.#call(
          () => this.#etcd.transact(output.transaction),
          (answer) => send({ type: 'transacted', attempt: output.attempt, answer }),
          (reason) => send({ type: 'failed', attempt: output.attempt, reason }),
        );
        break;
      case 'read':
        this.#call(
          () => this.#etcd.get(output.key),
          (entry) => send({ type: 'readBack', attempt: output.attempt, entry }),
          (reason) => send({ type: 'failed', attempt: output.attempt, reason }),
        );
        break;
      case 'held':
        this.#checkHeld(output.lease);
        this.held = output.lease;
        break;
      case 'status':
        this.status = output;
        break;
    }
  }

  #checkWrite(lease: string | undefined): void {
    if (lease !== '0' && this.disk?.etcdLease !== lease)
      this.complaints.push(`${this.name} writes with an etcd lease that is not on its disk`);
    const { addresses = [], tried = [] } = this.disk ?? {};
    if (![...addresses, ...tried].includes(this.address))
      this.complaints.push(`${this.name} writes an address that is not on its disk`);
  }

  #checkHeld({ name }: HeldSubnet): void {
    if (this.held !== undefined && this.held.name !== name)
      this.complaints.push(`${this.name} changed from ${this.held.name} to ${name} while running`);
    if (this.disk?.held === true && this.disk.subnet !== name)
      this.complaints.push(`${this.name} held ${this.disk.subnet} and came back with ${name}`);
  }

  /** One call to etcd: done and answered, not done, done but not answered, or answered as failed and done later. */
  #call<T>(perform: () => T, done: (result: T) => void, failed: (reason: string) => void): void {
    const delay = 1 + this.#random() * 40;
    const fate = this.cut ? 0 : this.#random() / (this.#faults.loss || Number.MIN_VALUE);
    if (this.cut || fate < 0.33) {
      this.#later(200, () => failed('connection cut'));
      return;
    }
    const attempt = (): T | undefined => {
      try {
        return perform();
      } catch {
        return undefined;
      }
    };
    if (fate < 0.66) {
      // Etcd's work goes on though this host may crash: hence the bare clock.
      this.#clock.at(this.#clock.now() + delay, attempt);
      this.#later(200, () => failed('answer lost'));
      return;
    }
    if (fate < 1) {
      this.#clock.at(this.#clock.now() + 200 + this.#random() * 2000, attempt);
      this.#later(200, () => failed('answer late'));
      return;
    }
    this.#clock.at(this.#clock.now() + delay, () => {
      let answer: () => void;
      try {
        const result = perform();
        answer = () => done(result);
      } catch (error) {
        answer = () => failed(error instanceof Error ? error.message : 'unknown');
      }
      this.#later(delay, answer);
    });
  }

  #later(ms: number, act: () => void): void {
    const life = this.#life;
    this.#clock.at(this.#clock.now() + ms, () => {
      if (!life.signal.aborted) act();
    });
  }
}
