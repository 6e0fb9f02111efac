import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { range } from '../support/leases.ts';
import { Bench, holding, NAME, previous, ready, STATE, US } from '../support/ownBench.ts';

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

  const MOVED = '10.10.10.200';

  test('knows its own put that had no answer, however late etcd does it: the host has its old address again', () => {
    const bench = holding();
    bench.here(MOVED);
    bench.saved();
    bench.failed();
    bench.here(US);
    bench.wake();
    // Not done yet: our key is as it was, at the revision that the put waits for.
    assert.ok(bench.readBack(US, '700', 11).length > 0);
    bench.saved();
    const late = bench.leases([NAME, MOVED, '700']);
    assert.deepEqual(late, [`put ${NAME} ${US} lease 700 if revision 12`]);
    assert.ok(
      bench.done().includes(`persist ${NAME} held 700`),
      'now that put can be done no more',
    );
    bench.saved();
    assert.match(bench.leases([NAME, MOVED, '700'])[0] ?? '', /^superseded: .*copy of this host/);
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

  test('a foreign owner may be left its subnet: another one is held in its place, under a new etcd lease', () => {
    const bench = ready({ state: STATE, lost: 'replace' });
    bench.leases([NAME, US, '700']);
    bench.kept('700');
    const [said, choosing, creating, persist] = bench.leases([NAME, '10.10.10.101', '5']);
    assert.match(
      said ?? '',
      /^superseded: subnet 10\.100\.3\.0\/24 belongs to 10\.10\.10\.101 .*--lost-subnet=replace.* until Docker is restarted/,
    );
    assert.match(`${choosing} ${creating}`, /^choosing: .* creating: /);
    const name = /^persist (10\.100\.(?!3\.)\d+\.0-24) meant 900$/.exec(persist ?? '')?.[1];
    assert.ok(name !== undefined, persist);
    assert.deepEqual(bench.saved(), ['want 900']);
    assert.deepEqual(bench.kept(), [`put ${name} ${US} lease 900 if absent`]);
    const held = bench.done();
    assert.equal(held[0], `HELD ${name} at ${US}`);
    assert.match(
      held[1] ?? '',
      /^held: lease acquired: .* in place of 10\.100\.3\.0\/24: restart Docker/,
    );
  });

  test('a clone that writes under our etcd lease does not have its key kept alive by us', () => {
    const bench = holding();
    const out = bench.leases([NAME, '10.10.10.66', '700']);
    assert.deepEqual(out.slice(1), ['want 900', `persist ${NAME} held 900`]);
    bench.saved();
    bench.kept('900');
    assert.match(
      bench.leases([NAME, '10.10.10.66', '700'])[0] ?? '',
      /^superseded: .*10\.10\.10\.66, which uses a copy of this host's state/,
    );
    assert.deepEqual(bench.leases().slice(1), [`put ${NAME} ${US} lease 900 if absent`]);
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
    assert.deepEqual(more, []);
    assert.match(
      bench.config({ kind: 'missing' })[0] ?? '',
      /^held: holding subnet 10\.100\.3\.0\/24, waiting for the network config/,
    );
    // A wiped etcd is set up anew first.
    assert.deepEqual(bench.leases(), []);
    assert.deepEqual(bench.config().slice(1), [`put ${NAME} ${US} lease 700 if absent`]);
  });

  test('another owner counts while the config is gone too, and no key that is gone after that is taken for ours', () => {
    const bench = holding();
    bench.config({ kind: 'missing' });
    assert.match(
      bench.leases([NAME, '10.10.10.101', '5'])[0] ?? '',
      /^superseded: .*10\.10\.10\.101/,
    );
    bench.saved();
    assert.match(bench.leases()[0] ?? '', /^superseded: 10\.100\.3\.0\/24 was last another host's/);
    assert.deepEqual(bench.leases([NAME, US, '700']).slice(-1), [
      'held: holding subnet 10.100.3.0/24, waiting for the network config in etcd key /coreos.com/network/config',
    ]);
    bench.leases();
    assert.ok(bench.config().includes(`put ${NAME} ${US} lease 700 if absent`));
  });

  test('an owner that may be another is told while the config is gone too', () => {
    const bench = ready({ state: { ...STATE, addresses: ['10.10.10.99', US] } });
    bench.leases([NAME, US, '700']);
    bench.config({ kind: 'missing' });
    assert.match(bench.leases([NAME, '10.10.10.99', '5'])[0] ?? '', /^contested: /);
  });

  test('a key that is lost while the config does not contain it waits for one that does', () => {
    for (const state of [
      { kind: 'invalid' as const, reason: 'it is not JSON' },
      {
        kind: 'valid' as const,
        config: { v4: range('10.200.0.0/16', 24, '10.200.1.0', '10.200.255.0'), v6: undefined },
      },
    ]) {
      const bench = holding();
      bench.config(state);
      assert.deepEqual(bench.leases(), []);
      assert.ok(bench.config().includes(`put ${NAME} ${US} lease 700 if absent`));
    }
  });

  test('without an address writes nothing over our key, and still sees its new owner', () => {
    const bench = holding();
    const none = { type: 'addresses', publicIp: undefined, publicIp6: undefined } as const;
    bench.config({ kind: 'invalid', reason: 'it is not JSON' });
    assert.deepEqual(bench.give(none), []);
    assert.deepEqual(bench.leases([NAME, US, '700']), []);
    bench.config();
    assert.match(bench.leases([NAME, '10.10.10.101', '5'])[0] ?? '', /^superseded: /);
    bench.saved();
    assert.match(bench.leases()[0] ?? '', /^superseded: .* was last another host's/);
  });

  test('another writer with our own address is answered slowly, and ever more so', () => {
    const bench = holding();
    const waits: number[] = [];
    for (let round = 0; round < 8; round++) {
      const out = bench.leases([NAME, US, '5']);
      assert.match(out[0] ?? '', /^contested: another writer with our address/);
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
      /^contested: .*nothing is written until it goes/,
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
  test('does not stop the host, and is tried again', () => {
    const bench = ready({ previous });
    bench.leases();
    assert.deepEqual(bench.failed('no space left on device'), ['want 900']);
    assert.deepEqual(bench.kept(), [`put ${NAME} ${US} lease 900 if absent`]);
    bench.done();
    bench.failed('no space left on device');
    bench.leases([NAME, US, '900']);
    assert.deepEqual(bench.wake().at(-1), `persist ${NAME} held 900`);
  });
});
