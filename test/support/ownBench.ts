/** A bench for the core of our own subnet: a test plays etcd, disk and keeper by hand and reads what the core asks for. */
import assert from 'node:assert/strict';
import {
  type ConfigState,
  type DepartedSubnets,
  LeaseView,
  Own,
  type OwnInput,
  type OwnOptions,
  type OwnOutput,
  type OwnState,
} from '../../src/lease/index.ts';
import { address, NETWORK, prefix, valueText } from './leases.ts';

const PREFIX = '/coreos.com/network/subnets/';
export const NAME = '10.100.3.0-24';
export const US = '10.10.10.104';
export const STATE: OwnState = {
  subnet: NAME,
  held: true,
  etcdLease: '700',
  addresses: [US],
  rival: undefined,
};

/** Each method hands in one input and prints what comes out. */
export class Bench {
  now = 0;
  readonly own: Own;
  readonly view = new LeaseView(PREFIX);
  /** What left the view before. */
  departed: DepartedSubnets = new Map();
  /** What the last transaction is conditional on. */
  compared: string[] = [];
  #attempt = 0;
  #revision = 10;

  constructor(options: Partial<OwnOptions> = {}) {
    this.own = new Own({
      configKey: '/coreos.com/network/config',
      subnetsPrefix: PREFIX,
      state: undefined,
      previous: undefined,
      seed: 'host',
      newLeaseId: () => '900',
      retry: { firstMs: 100, maxMs: 1000 },
      random: () => 0.999,
      ...options,
    });
  }

  give(input: OwnInput | { type: 'timer' }): string[] {
    return this.own.handle(input, this.now).map((output) => this.#print(output));
  }

  config(config: ConfigState = { kind: 'valid', config: NETWORK }): string[] {
    return this.give({ type: 'config', config });
  }

  here(text = US): string[] {
    return this.give({ type: 'addresses', publicIp: address(text), publicIp6: undefined });
  }

  /** The keeper says that it holds the etcd lease. */
  kept(id = '900'): string[] {
    return this.give({ type: 'keeper', state: { kind: 'held', id } });
  }

  /** Keys as the next view shows them: name, address, etcd lease, and the revision they were created at: this one. */
  leases(...keys: [name: string, publicIp: string, lease: string, created?: number][]): string[] {
    this.#revision += 1;
    const revision = this.#revision;
    const entries = keys.map(([name, publicIp, lease, created]) => ({
      ...{ key: PREFIX + name, value: textOf(publicIp), lease },
      ...{ createRevision: created ?? revision, modRevision: revision },
    }));
    this.view.apply({ type: 'snapshot', revision, entries });
    return this.give({
      type: 'view',
      revision,
      leases: this.view.leases,
      departed: this.departed,
    });
  }

  saved(): string[] {
    return this.give({ type: 'persisted', attempt: this.#attempt });
  }

  /** Etcd did the transaction, at its next revision or long ago. */
  done(at?: number): string[] {
    if (at === undefined) this.#revision += 1;
    const answer = { succeeded: true as const, revision: at ?? this.#revision };
    return this.give({ type: 'transacted', attempt: this.#attempt, answer });
  }

  lost(name: string, publicIp: string, lease: string): string[] {
    this.#revision += 1;
    const revision = this.#revision;
    const entry = { key: PREFIX + name, value: valueText(publicIp), lease };
    const current = [{ ...entry, createRevision: revision, modRevision: revision }];
    const answer = { succeeded: false as const, revision, current };
    return this.give({ type: 'transacted', attempt: this.#attempt, answer });
  }

  /** Etcd refuses the transaction: none of its keys is there. */
  refused(): string[] {
    this.#revision += 1;
    const answer = { succeeded: false as const, revision: this.#revision, current: [] };
    return this.give({ type: 'transacted', attempt: this.#attempt, answer });
  }

  failed(reason = 'no answer'): string[] {
    return this.give({ type: 'failed', attempt: this.#attempt, reason });
  }

  readBack(publicIp?: string, lease = '900', revision = 50, name = NAME): string[] {
    const entry =
      publicIp === undefined
        ? undefined
        : {
            key: PREFIX + name,
            value: textOf(publicIp),
            lease,
            createRevision: revision,
            modRevision: revision,
          };
    return this.give({ type: 'readBack', attempt: this.#attempt, entry });
  }

  wake(): string[] {
    this.now = this.own.deadline ?? assert.fail('no deadline');
    return this.give({ type: 'timer' });
  }

  #print(output: OwnOutput): string {
    switch (output.type) {
      case 'status':
        return `${output.status}: ${output.sentence}`;
      case 'held':
        return `HELD ${output.lease.name} at ${output.lease.publicIp?.text}${output.lease.reservation ? ' reserved' : ''}`;
      case 'want':
        return `want ${output.id}`;
      case 'persist':
        this.#attempt = output.attempt;
        return `persist ${output.state.subnet} ${output.state.held ? 'held' : 'meant'} ${output.state.etcdLease}`;
      case 'read':
        this.#attempt = output.attempt;
        return `read ${output.key.slice(PREFIX.length)}`;
      case 'transact': {
        this.#attempt = output.attempt;
        const [compare] = output.transaction.compare;
        this.compared = output.transaction.compare.map(
          (one) => `${one.key.slice(PREFIX.length)} ${one.is === 'absent' ? one.is : one.revision}`,
        );
        const [put] = output.transaction.writes;
        const condition =
          compare?.is === 'modRevision' ? `revision ${compare.revision}` : compare?.is;
        assert.equal(compare?.key, put?.key);
        return `put ${put?.key.slice(PREFIX.length)} ${JSON.parse(put?.value ?? '').PublicIP} lease ${put?.lease} if ${condition}`;
      }
    }
  }
}

/** Of an IPv4 address, or of both: `10.10.10.7 fd00:9::7`. */
function textOf(addresses: string): string {
  const [publicIp = '', publicIp6] = addresses.split(' ');
  return valueText(publicIp, publicIp6);
}

/** Told the config and its address; waits for the leases. */
export function ready(options: Partial<OwnOptions> = {}): Bench {
  const bench = new Bench(options);
  bench.config();
  bench.here();
  return bench;
}

/** Holds 10.100.3.0-24 by its state. */
export function holding(): Bench {
  const bench = ready({ state: STATE });
  bench.leases([NAME, US, '700']);
  bench.kept('700');
  return bench;
}

export const previous = { subnet: prefix('10.100.3.0/24'), subnet6: undefined };
