/** Dual-stack: another host may have one half of our subnet under a key of another name, for flanneld draws each by itself. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { OwnOptions } from '../../src/lease/index.ts';
import { address, DUAL } from '../support/leases.ts';
import { Bench } from '../support/ownBench.ts';

const OURS = '10.100.3.0-24&fd00:1:0:3::-64';
const HALVES = ['10.100.3.0-24&fd00:1:0:77::-64', '10.100.77.0-24&fd00:1:0:3::-64'];
const US = '10.10.10.104 fd00:9::104';
const OTHER = '10.10.10.7 fd00:9::7';
const STATE = {
  subnet: OURS,
  held: true,
  etcdLease: '700',
  addresses: US.split(' '),
  rival: undefined,
};

function dual(options: Partial<OwnOptions> = {}): Bench {
  const bench = new Bench(options);
  bench.config({ kind: 'valid', config: DUAL });
  bench.give({
    type: 'addresses',
    publicIp: address('10.10.10.104'),
    publicIp6: address('fd00:9::104'),
  });
  return bench;
}

const putsOf = (lines: readonly string[]): string[] =>
  lines.filter((line) => line.startsWith('put '));

describe('a half of our subnet under an older key of another host', () => {
  for (const half of HALVES)
    test(`is another's subnet: ours is not put again beside ${half}, nor held by the disk, until that goes`, () => {
      const bench = dual({ state: STATE });
      const [said = '', ...more] = bench.leases([half, OTHER, '5']);
      assert.match(
        said,
        /^superseded: .* belongs to 10\.10\.10\.7 in etcd \(key .*, revision 11\)/,
      );
      assert.ok(said.includes(half));
      assert.deepEqual(more, [`persist ${OURS} held 700`]);
      bench.saved();
      const { leases } = bench.view;
      assert.deepEqual(bench.give({ type: 'silent', reason: '', leases }), []);
      assert.deepEqual(putsOf(bench.kept('700')), []);
      assert.deepEqual(putsOf(bench.leases()), [`put ${OURS} 10.10.10.104 lease 700 if absent`]);
    });

  test('that comes to light when ours is there already: the younger yields, and is held again when the other goes', () => {
    const bench = dual({ state: STATE });
    bench.leases();
    bench.kept('700');
    assert.ok(bench.done().some((line) => line.startsWith('HELD ')));
    // Theirs was created at revision 11, ours at 12.
    const [half = ''] = HALVES;
    const both = bench.leases([OURS, US, '700', 12], [half, OTHER, '5', 11]);
    assert.match(both[0] ?? '', /^superseded: /);
    bench.saved();
    assert.deepEqual(putsOf(bench.leases([OURS, US, '700', 12], [half, OTHER, '5', 11])), []);
    assert.match(bench.leases([OURS, US, '700', 12]).at(-2) ?? '', /^held: /);
  });

  test('is passed by where we have yet to choose, though a key with our address names the same half', () => {
    const bench = dual();
    const [half = ''] = HALVES;
    const chosen = bench.leases([half, OTHER, '5', 5], [OURS, US, '6', 8]);
    assert.match(chosen.at(-1) ?? '', /^persist .* meant 900$/);
    assert.doesNotMatch(chosen.at(-1) ?? '', /10\.100\.3\.0|:3::/);
  });

  test('takes from us what we have only asked for, and our key is left to its etcd lease', () => {
    const ids = ['800', '900'];
    const bench = dual({ newLeaseId: () => ids.shift() ?? assert.fail(), state: undefined });
    const asked = bench.leases().at(-1) ?? '';
    const name = asked.split(' ')[1] ?? '';
    bench.saved();
    bench.kept('800');
    bench.failed();
    bench.wake();
    const half = `${name.split('&')[0]}&fd00:1:0:fff::-64`;
    bench.leases([name, US, '800', 12], [half, OTHER, '5', 11]);
    const after = bench.readBack(US, '800', 12, name);
    assert.match(after.at(-1) ?? '', /^persist .* meant 900$/);
    assert.ok(!after.at(-1)?.includes(name));
  });
});

describe('a half of our subnet under another key', () => {
  test('that is younger, malformed, of another length, or has our own address changes nothing', () => {
    const bench = dual({ state: STATE });
    bench.leases([OURS, US, '700', 5]);
    const [half = ''] = HALVES;
    const own = [OURS, US, '700', 5] as const;
    for (const other of [
      [half, OTHER, '5', 6],
      [half, 'nonsense', '5', 3],
      ['10.100.3.0-25&fd00:1:0:77::-64', OTHER, '5', 3],
      ['10.100.0.0-16&fd00:1:0:77::-64', OTHER, '5', 3],
      [half, US, '5', 3],
    ] as const)
      assert.deepEqual(
        bench
          .leases([...own], [...other])
          .filter((line) => /^(put|superseded|contested)/.test(line)),
        [],
        `${other}`,
      );
  });

  test('that is older and has an address that we had is neither written beside nor given way to', () => {
    const bench = dual({ state: { ...STATE, addresses: ['10.10.10.7', ...STATE.addresses] } });
    const said = bench.leases([HALVES[0] ?? '', OTHER, '5']);
    assert.match(
      said[0] ?? '',
      /^contested: key .*:77::-64 has 10\.10\.10\.7, .* nothing is written/,
    );
    assert.deepEqual(putsOf([...said, ...bench.kept('700')]), []);
  });
});
