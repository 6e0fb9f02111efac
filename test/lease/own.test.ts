import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  type ConfigState,
  LeaseView,
  Own,
  type OwnInput,
  type OwnOptions,
  type OwnOutput,
  type OwnState,
} from '../../src/lease/index.ts';
import { address, DUAL, NETWORK, prefix, range, valueText } from '../support/leases.ts';

const PREFIX = '/coreos.com/network/subnets/';
const NAME = '10.100.3.0-24';
const US = '10.10.10.104';
const STATE: OwnState = {
  subnet: NAME,
  held: true,
  etcdLease: '700',
  addresses: [US],
  rival: undefined,
};

/** Plays etcd, disk and keeper for one core by hand, and prints what it asks for. */
class Bench {
  now = 0;
  readonly own: Own;
  readonly view = new LeaseView(PREFIX);
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

  /** Keys as the next view shows them: name, address, etcd lease. */
  leases(...keys: [name: string, publicIp: string, lease: string][]): string[] {
    this.#revision += 1;
    const revision = this.#revision;
    const entries = keys.map(([name, publicIp, lease]) => ({
      ...{ key: PREFIX + name, value: valueText(publicIp), lease },
      ...{ createRevision: revision, modRevision: revision },
    }));
    this.view.apply({ type: 'snapshot', revision, entries });
    return this.give({ type: 'view', revision, leases: this.view.leases });
  }

  saved(): string[] {
    return this.give({ type: 'persisted', attempt: this.#attempt });
  }

  done(): string[] {
    this.#revision += 1;
    const answer = { succeeded: true as const, revision: this.#revision };
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

  failed(reason = 'no answer'): string[] {
    return this.give({ type: 'failed', attempt: this.#attempt, reason });
  }

  readBack(publicIp?: string, lease = '900'): string[] {
    const entry =
      publicIp === undefined
        ? undefined
        : {
            key: PREFIX + NAME,
            value: valueText(publicIp),
            lease,
            createRevision: 50,
            modRevision: 50,
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
        const [put] = output.transaction.writes;
        const condition =
          compare?.is === 'modRevision' ? `revision ${compare.revision}` : compare?.is;
        assert.equal(compare?.key, put?.key);
        return `put ${put?.key.slice(PREFIX.length)} ${JSON.parse(put?.value ?? '').PublicIP} lease ${put?.lease} if ${condition}`;
      }
    }
  }
}

/** Told the config and its address; waits for the leases. */
function ready(options: Partial<OwnOptions> = {}): Bench {
  const bench = new Bench(options);
  bench.config();
  bench.here();
  return bench;
}

/** Holds 10.100.3.0-24 by its state. */
function holding(): Bench {
  const bench = ready({ state: STATE });
  bench.leases([NAME, US, '700']);
  bench.kept('700');
  return bench;
}

const previous = { subnet: prefix('10.100.3.0/24'), subnet6: undefined };

describe('waiting', () => {
  test('for the config names its key, once', () => {
    const bench = new Bench();
    const sentence =
      'waiting: waiting for the network config in etcd key /coreos.com/network/config';
    assert.deepEqual(bench.here(), [sentence]);
    assert.deepEqual(bench.leases(), []);
    assert.deepEqual(bench.config({ kind: 'invalid', reason: 'Network is missing' }), [
      'waiting: waiting for a valid network config in etcd key /coreos.com/network/config: Network is missing',
    ]);
  });

  test('for an address in every family of the config', () => {
    const bench = new Bench();
    bench.leases();
    bench.here();
    assert.match(bench.config({ kind: 'valid', config: DUAL })[0] ?? '', /^waiting: .* address/);
  });
});

describe('a first start', () => {
  test('saves what it is about to ask for, gets an etcd lease, asks, holds, saves that it holds', () => {
    const bench = ready({ previous });
    assert.deepEqual(bench.leases(), [
      'choosing: network 10.100.0.0/16: picking a subnet from 10.100.1.0 ... 10.100.255.0',
      'creating: asking etcd for subnet 10.100.3.0/24',
      `persist ${NAME} meant 900`,
    ]);
    assert.deepEqual(bench.saved(), ['want 900']);
    assert.deepEqual(bench.kept(), [`put ${NAME} ${US} lease 900 if absent`]);
    assert.deepEqual(bench.done(), [
      `HELD ${NAME} at ${US}`,
      'held: lease acquired: subnet 10.100.3.0/24',
      `persist ${NAME} held 900`,
    ]);
    assert.deepEqual(bench.saved(), []);
    assert.deepEqual(bench.leases([NAME, US, '900']), []);
    assert.equal(bench.own.deadline, undefined);
  });

  test('takes the subnet that etcd has under our address, by transaction on its revision', () => {
    const bench = ready();
    bench.leases(['10.100.9.0-24', US, '5'], ['10.100.8.0-24', '10.10.10.101', '6']);
    bench.saved();
    assert.deepEqual(bench.kept(), [`put 10.100.9.0-24 ${US} lease 900 if revision 11`]);
  });

  test('takes a reservation as it is: never attached to an etcd lease', () => {
    const bench = ready();
    const out = bench.leases([NAME, US, '0']);
    assert.deepEqual(out.slice(1), [
      `HELD ${NAME} at ${US} reserved`,
      'held: lease acquired: subnet 10.100.3.0/24, reserved',
      `persist ${NAME} held 900`,
    ]);
    bench.saved();
    assert.deepEqual(bench.here('10.10.10.105').slice(0, 1), [`persist ${NAME} held 900`]);
    assert.deepEqual(bench.saved(), [`put ${NAME} 10.10.10.105 lease 0 if revision 11`]);
  });

  test('does not take a subnet that a key names, malformed or not, but a key that holds all of Network bars nobody', () => {
    const bench = ready({ previous });
    const out = bench.leases(
      ['10.100.3.5-24', '10.10.10.7', '5'],
      ['10.100.0.0-16', '10.10.10.7', '5'],
    );
    assert.match(out.at(-1) ?? '', /^persist 10\.100\.\d+\.0-24 meant/);
    assert.ok(!out.includes(`persist ${NAME} meant 900`));
  });

  test('that loses the race tries another one, and keeps its etcd lease', () => {
    const bench = ready({ previous });
    bench.leases();
    bench.saved();
    bench.kept();
    const out = bench.lost(NAME, '10.10.10.101', '800');
    const next = /^persist (\S+) meant 900$/.exec(out.at(-1) ?? '')?.[1];
    assert.ok(next !== undefined && next !== NAME);
    assert.deepEqual(bench.saved(), [`put ${next} ${US} lease 900 if absent`]);
  });

  test('in a full network says so once and takes the first subnet that is freed', () => {
    const config = { v4: range('10.100.0.0/16', 24, '10.100.1.0', '10.100.2.0'), v6: undefined };
    const bench = new Bench();
    bench.here();
    bench.config({ kind: 'valid', config });
    const one: [string, string, string] = ['10.100.1.0-24', '10.10.10.1', '5'];
    const two: [string, string, string] = ['10.100.2.0-24', '10.10.10.2', '6'];
    assert.match(
      bench.leases(one, two)[0] ?? '',
      /^full: network 10\.100\.0\.0\/16 is full: .*10\.100\.1\.0 \.\.\. 10\.100\.2\.0/,
    );
    assert.deepEqual(bench.leases(one, two), []);
    assert.ok(bench.leases(one).includes('persist 10.100.2.0-24 meant 900'));
  });
});

describe('an answer that is lost', () => {
  function asked(): Bench {
    const bench = ready({ previous });
    bench.leases();
    bench.saved();
    bench.kept();
    return bench;
  }

  test('is read back before anything else: ours means that it was done', () => {
    const bench = asked();
    assert.deepEqual(bench.failed('connection reset'), [
      'want 900',
      `creating: asking etcd for subnet 10.100.3.0/24; etcd gave no answer about key ${NAME}: connection reset`,
    ]);
    assert.deepEqual(bench.wake(), [`read ${NAME}`]);
    assert.ok(bench.readBack(US).includes(`HELD ${NAME} at ${US}`));
  });

  test('is asked again if the key is still absent, and given up if another took it', () => {
    const absent = asked();
    absent.failed();
    absent.wake();
    assert.deepEqual(absent.readBack(), [`put ${NAME} ${US} lease 900 if absent`]);
    const taken = asked();
    taken.failed();
    taken.wake();
    assert.match(
      taken.readBack('10.10.10.101', '5').at(-1) ?? '',
      /^persist 10\.100\.\d+\.0-24 meant 900$/,
    );
  });

  test('is not mixed up with a later one', () => {
    const bench = asked();
    bench.failed();
    assert.deepEqual(bench.done(), []);
    assert.deepEqual(bench.wake(), [`read ${NAME}`]);
  });
});

describe('a restart', () => {
  test('with our key in place writes nothing to etcd', () => {
    const bench = ready({ state: STATE });
    assert.deepEqual(bench.leases([NAME, US, '700']), [
      `HELD ${NAME} at ${US}`,
      'want 700',
      'held: lease acquired: subnet 10.100.3.0/24',
    ]);
    assert.deepEqual(bench.kept('700'), []);
  });

  test('after the lease ran out asks for the same subnet, not for one under our address', () => {
    const bench = ready({ state: STATE });
    const out = bench.leases(['10.100.9.0-24', US, '5']);
    assert.match(out[0] ?? '', /^recreating: subnet 10\.100\.3\.0\/24 is ours/);
    assert.deepEqual(bench.kept('700'), [`put ${NAME} ${US} lease 700 if absent`]);
  });

  test("with a key that another host holds waits for it, however that host's address changes", () => {
    const bench = ready({ state: STATE });
    assert.match(
      bench.leases([NAME, '10.10.10.101', '5'])[0] ?? '',
      /^superseded: subnet 10\.100\.3\.0\/24 belongs to 10\.10\.10\.101/,
    );
    bench.saved();
    bench.kept('700');
    assert.match(
      bench.leases([NAME, US, '5'])[0] ?? '',
      /^superseded: .* belongs to 10\.10\.10\.104/,
    );
    assert.deepEqual(bench.leases().slice(1), [`put ${NAME} ${US} lease 700 if absent`]);
  });

  test('that was never sure of its subnet chooses another one if it is gone', () => {
    const bench = ready({ state: { ...STATE, held: false } });
    assert.match(
      bench.leases([NAME, '10.10.10.101', '5']).at(-1) ?? '',
      /^persist 10\.100\.(?!3\.)\d+\.0-24 meant 700$/,
    );
  });

  test('with a config that does not contain the subnet picks a new one, under a new etcd lease', () => {
    const bench = new Bench({ state: STATE });
    bench.here();
    bench.leases([NAME, US, '700']);
    const config = { v4: range('10.200.0.0/16', 24, '10.200.1.0', '10.200.255.0'), v6: undefined };
    assert.match(
      bench.config({ kind: 'valid', config }).at(-1) ?? '',
      /^persist 10\.200\.\d+\.0-24 meant 900$/,
    );
  });

  test('with a new address of the host updates the key and keeps the subnet', () => {
    const bench = new Bench({ state: STATE });
    bench.config();
    bench.here('10.10.10.200');
    bench.kept('700');
    assert.deepEqual(bench.leases([NAME, US, '700']), [`persist ${NAME} held 700`]);
    assert.deepEqual(bench.saved(), [`put ${NAME} 10.10.10.200 lease 700 if revision 11`]);
    assert.ok(bench.done().includes(`HELD ${NAME} at 10.10.10.200`));
  });

  test('beside a clone that writes with a copy of our state does not write in turns with it', () => {
    const bench = ready({ state: STATE });
    assert.match(
      bench.leases([NAME, '10.10.10.66', '700'])[0] ?? '',
      /^superseded: .*10\.10\.10\.66, which uses a copy of this host's state/,
    );
  });
});

describe('while held', () => {
  test('a deleted key is put again at once, under the same name', () => {
    assert.deepEqual(holding().leases().slice(1), [`put ${NAME} ${US} lease 700 if absent`]);
  });

  test('a put on an etcd lease that has run out makes the keeper look and the key come back', () => {
    const bench = holding();
    bench.leases();
    assert.ok(bench.failed('requested lease not found').includes('want 700'));
    bench.give({ type: 'keeper', state: { kind: 'lost', id: '700' } });
    bench.wake();
    assert.deepEqual(bench.readBack(), ['want 700']);
    assert.deepEqual(bench.kept('700'), [`put ${NAME} ${US} lease 700 if absent`]);
  });

  test('a foreign owner stops every write; when its key goes, ours comes back', () => {
    const bench = holding();
    assert.match(bench.leases([NAME, '10.10.10.101', '5'])[0] ?? '', /^superseded: /);
    bench.saved();
    assert.deepEqual(bench.here('10.10.10.105'), []);
    bench.here();
    assert.match(bench.leases()[0] ?? '', /^recreating: /);
  });

  test('an unconfirmed etcd lease is doubtful, and held again with one sentence each', () => {
    const bench = holding();
    const state = { kind: 'doubtful' as const, id: '700', reason: 'no word from etcd' };
    assert.deepEqual(bench.give({ type: 'keeper', state }), [
      'doubtful: holding subnet 10.100.3.0/24: no word from etcd',
    ]);
    assert.deepEqual(bench.kept('700'), ['held: lease acquired: subnet 10.100.3.0/24']);
  });

  test('a config that no longer contains the subnet, or none, changes nothing but the sentence', () => {
    const bench = holding();
    const config = { v4: range('10.200.0.0/16', 24, '10.200.1.0', '10.200.255.0'), v6: undefined };
    const [outside, ...more] = bench.config({ kind: 'valid', config });
    assert.match(
      outside ?? '',
      /^held: holding subnet 10\.100\.3\.0\/24, .* a restart would pick a new subnet from 10\.200\.1\.0/,
    );
    assert.deepEqual([...more, ...bench.leases()], []);
    assert.match(
      bench.config({ kind: 'missing' })[0] ?? '',
      /^held: holding subnet 10\.100\.3\.0\/24, waiting for the network config/,
    );
    assert.deepEqual(bench.config().slice(1), [`put ${NAME} ${US} lease 700 if absent`]);
  });

  test('another writer with our own address is answered slowly, and ever more so', () => {
    const bench = holding();
    const waits: number[] = [];
    for (let round = 0; round < 8; round++) {
      const out = bench.leases([NAME, US, '5']);
      assert.match(out[0] ?? '', /^doubtful: another writer with our address/);
      assert.equal(out.length, 1);
      waits.push(Math.round(((bench.own.deadline ?? 0) - bench.now) / 1000));
      assert.match(bench.wake().at(-1) ?? '', /^put .* lease 700 if revision \d+$/);
      bench.done();
    }
    assert.deepEqual(waits, [2, 4, 8, 16, 32, 60, 60, 60]);
  });

  test('an address that we had, under an etcd lease that is not ours, is neither written nor given up', () => {
    const bench = new Bench({ state: { ...STATE, addresses: ['10.10.10.99', US] } });
    bench.config();
    bench.here();
    assert.match(
      bench.leases([NAME, '10.10.10.99', '5'])[0] ?? '',
      /^doubtful: .*nothing is written until it goes/,
    );
  });

  test('a cluster that was set up anew, with lower revisions, gets the key again', () => {
    const bench = holding();
    bench.leases();
    bench.done();
    bench.view.apply({ type: 'snapshot', revision: 2, entries: [] });
    const out = bench.give({ type: 'view', revision: 2, leases: bench.view.leases });
    assert.ok(out.includes(`put ${NAME} ${US} lease 700 if absent`));
  });
});

describe('a disk that cannot be written', () => {
  test('is said, does not stop the host, and is tried again', () => {
    const bench = ready({ previous });
    bench.leases();
    assert.deepEqual(bench.failed('no space left on device'), [
      'creating: asking etcd for subnet 10.100.3.0/24; the state could not be saved: no space left on device',
      'want 900',
    ]);
    assert.deepEqual(bench.kept(), [`put ${NAME} ${US} lease 900 if absent`]);
    bench.done();
    bench.failed('no space left on device');
    assert.deepEqual(bench.wake().at(-1), `persist ${NAME} held 900`);
  });
});
