import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parsePrefix } from '../../src/ip/index.ts';
import { DUAL, prefix, range } from '../support/leases.ts';
import { Bench, NAME, previous, ready, US } from '../support/ownBench.ts';

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

  test("never takes a subnet that overlaps this host's own networks, whoever named it", () => {
    const bench = ready({ previous });
    const [inside, around] = [parsePrefix('10.100.3.128/25'), parsePrefix('10.0.0.0/8')];
    assert.ok(inside !== undefined && around !== undefined);
    bench.give({ type: 'unusable', prefixes: [inside, around] });
    const out = bench.leases([NAME, US, '5']).join();
    assert.match(out, /persist 10\.100\.\d+\.0-24 meant/, 'a LAN around Network is legal');
    assert.ok(!out.includes(NAME), out);
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

describe('a subnet whose key has gone', () => {
  const config = { v4: range('10.100.0.0/16', 24, '10.100.1.0', '10.100.2.0'), v6: undefined };
  const gone = new Map([['10.100.1.0-24', '10.10.10.77']]);
  const full = (bench: Bench) => {
    bench.here();
    bench.config({ kind: 'valid', config });
    bench.departed = gone;
    return bench;
  };

  test('is left for its host while another is free', () => {
    for (const seed of ['a', 'b', 'c', 'd', 'e', 'f']) {
      const bench = full(new Bench({ seed }));
      assert.equal(bench.leases().at(-1), 'persist 10.100.2.0-24 meant 900');
    }
  });

  test('is taken where no other is free, and it is said whose it was', () => {
    const bench = full(new Bench());
    const out = bench.leases(['10.100.2.0-24', '10.10.10.2', '6']);
    assert.match(
      out[0] ?? '',
      /^choosing: .*10\.100\.1\.0\/24, which 10\.10\.10\.77 held before: no other is free/,
    );
    assert.equal(out.at(-1), 'persist 10.100.1.0-24 meant 900');
  });

  test('is ours all the same where the subnet file names it', () => {
    const previous = { subnet: prefix('10.100.1.0/24'), subnet6: undefined };
    const bench = full(new Bench({ previous }));
    assert.equal(bench.leases().at(-1), 'persist 10.100.1.0-24 meant 900');
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
      `creating: asking etcd for subnet 10.100.3.0/24; etcd did not confirm key ${NAME}: connection reset`,
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
