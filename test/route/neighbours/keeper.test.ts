/** What the neighbour keeper writes and says: paced, on a fresh view, only its own, and once. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { v4, v6 } from '../../../src/ip/index.ts';
import { NUD } from '../../../src/route/neighbours/types.ts';
import { address } from '../samples.ts';
import { KeeperBench, PROTOCOL } from './bench.ts';

const many = (count: number) => Array.from({ length: count }, (_, i) => v4(0x0a140000 + i));
const A = address('10.20.0.1');
const B = address('10.20.0.2');

describe('the neighbour keeper', () => {
  test('tries one entry first, then sends at most 500 each 100 ms', async () => {
    const bench = new KeeperBench();
    bench.want(many(5_000));
    await bench.run(2_000);
    assert.equal(bench.kept().length, 5_000);
    const sizes = bench.batches.map(({ ops }) => ops.length);
    assert.deepEqual([sizes[0], Math.max(...sizes)], [1, 500]);
    for (const [index, { at }] of bench.batches.entries()) {
      const before = bench.batches[index - 1]?.at ?? Number.NEGATIVE_INFINITY;
      assert.ok(at - before >= 100, `batch ${index} ${at - before} ms after the last`);
    }
    const last = bench.batches.at(-1)?.at ?? 0;
    assert.ok(last < 1_500, `done after ${last} ms`);
  });

  test('looks again before it writes what it has not seen for a second', async () => {
    const bench = new KeeperBench();
    const peers = many(7_000);
    for (const peer of peers) bench.table.put({ address: peer, device: bench.device });
    bench.want(peers);
    bench.complete();
    await bench.run(5_000);
    assert.equal(bench.kept().length, 7_000);
    bench.want(peers, false);
    await bench.run(5_000);
    assert.deepEqual([bench.kept(), bench.wrongs], [[], []]);
  });

  test('writes nothing more when all is as wanted', async () => {
    const bench = new KeeperBench();
    bench.want(many(100));
    await bench.run(20_000);
    const before = bench.batches.length;
    for (let round = 0; round < 20; round += 1) {
      bench.send({ type: 'hint' });
      await bench.run(1_000);
    }
    assert.equal(bench.batches.length, before);
    assert.deepEqual(bench.said(), ['kept']);
  });

  test('leaves alone what is fixed, learned or managed by others, and adopts what the kernel made', async () => {
    const bench = new KeeperBench();
    const { device } = bench;
    const others = [
      { address: address('10.20.0.11'), device, state: NUD.permanent },
      { address: address('10.20.0.12'), device, state: NUD.noarp },
      { address: address('10.20.0.13'), device, learned: true },
      { address: address('10.20.0.14'), device, managed: true },
      { address: address('10.20.0.15'), device, protocol: 42 },
      { address: address('10.20.0.16'), device, state: NUD.permanent, protocol: PROTOCOL },
    ];
    for (const entry of others) bench.table.put(entry);
    bench.table.put({ address: A, device });
    const all = [A, B, ...others.map((entry) => entry.address)];
    bench.want(all);
    await bench.run(30_000);
    assert.deepEqual(bench.table.journal, ['adopt 10.20.0.1 dev 2', 'add 10.20.0.2 dev 2']);
    bench.complete();
    bench.want(all, false);
    await bench.run(30_000);
    assert.deepEqual(bench.table.journal.slice(2).sort(), [
      'delete 10.20.0.1 dev 2',
      'delete 10.20.0.2 dev 2',
    ]);
    assert.equal(bench.table.entries().length, others.length);
  });

  test('an entry that somebody took over in the meantime is theirs, and is not deleted', async () => {
    const bench = new KeeperBench();
    bench.want([A, B]);
    bench.complete();
    await bench.run(20_000);
    bench.table.put({ address: A, device: bench.device, state: NUD.permanent, protocol: PROTOCOL });
    bench.want([A, B], false);
    await bench.run(20_000);
    assert.equal(bench.table.entries().length, 1);
    assert.ok(!bench.table.journal.includes('delete 10.20.0.1 dev 2'));
  });

  test('deletes nothing before everything that is wanted was told', async () => {
    const bench = new KeeperBench();
    bench.want([A, B]);
    await bench.run(20_000);
    bench.start('on');
    bench.want([A]);
    await bench.run(60_000);
    assert.deepEqual(bench.kept(), [A.text, B.text]);
    bench.complete();
    await bench.run(1_000);
    assert.deepEqual(bench.kept(), [A.text]);
  });

  test('cleans up with off what an earlier run left, and with auto when the need is over', async () => {
    const bench = new KeeperBench();
    bench.want([A, B]);
    await bench.run(20_000);
    bench.start('off');
    bench.want([A, B]);
    await bench.run(20_000);
    assert.deepEqual(bench.kept(), [A.text, B.text]);
    bench.complete();
    await bench.run(1_000);
    assert.deepEqual(bench.kept(), []);

    bench.start('auto');
    const peers = many(600);
    bench.want(peers);
    bench.complete();
    await bench.run(5_000);
    assert.equal(bench.kept().length, 600);
    bench.want(peers.slice(300), false);
    await bench.run(5_000);
    assert.equal(bench.kept().length, 300, 'not yet: a quarter is the edge');
    bench.want(peers.slice(200), false);
    await bench.run(5_000);
    assert.equal(bench.kept().length, 0);
    assert.equal(bench.said().at(-1), 'idle');
  });

  test('counts each family for itself', async () => {
    const bench = new KeeperBench('auto');
    bench.want([
      ...many(500),
      ...Array.from({ length: 500 }, (_, i) => v6((0xfd20n << 112n) | BigInt(i + 1))),
    ]);
    await bench.run(5_000);
    assert.deepEqual(bench.kept(), []);
    bench.send({ type: 'limits', limits: { 4: 2048, 6: 900 } });
    await bench.run(5_000);
    assert.equal(bench.kept().length, 1_000);
  });

  test('looks again when replies are lost, a dump or a batch fails, and says so once', async () => {
    for (const trouble of ['unknown', 'dump', 'apply'] as const) {
      const bench = new KeeperBench();
      bench.want(many(50));
      await bench.run(10);
      bench.table.trouble = trouble;
      await bench.run(2_000);
      assert.equal(bench.kept().length, 50, trouble);
      const armed = {
        unknown: [],
        dump: ['armed: the dump was interrupted', 'no trouble'],
        apply: ['armed: nothing was sent', 'no trouble'],
      };
      assert.deepEqual(bench.said(), ['kept', ...armed[trouble]]);
    }
  });

  test('with off and many peers it says so, and writes nothing', async () => {
    const bench = new KeeperBench('off');
    bench.want(many(600));
    await bench.run(60_000);
    const status = { kind: 'off', need: { family: 4, limit: 1024, room: 1024 } };
    assert.deepEqual(bench.reports, [{ type: 'status', status }]);
    assert.deepEqual(bench.batches, []);
  });

  test('a kernel that forgets the flag is found out by one entry, which goes again', async () => {
    const bench = new KeeperBench();
    bench.table.old = true;
    bench.want(many(600));
    bench.complete();
    await bench.run(60_000);
    assert.deepEqual(bench.said(), ['kept', 'unsupported']);
    assert.deepEqual(
      bench.batches.map(({ ops }) => ops.length),
      [1, 1],
    );
    assert.deepEqual(bench.table.entries(), []);
  });

  test('a device without a carrier gets no entries, and no failure is told of it', async () => {
    const bench = new KeeperBench();
    bench.kernel.setLink(bench.device, { carrier: false });
    bench.want([A]);
    await bench.run(60_000);
    assert.deepEqual([bench.batches, bench.outcomes()], [[], new Map()]);
    bench.kernel.setLink(bench.device, { carrier: true });
    bench.send({ type: 'hint' });
    await bench.run(1_000);
    assert.deepEqual(bench.kept(), [A.text]);
  });

  test('tells who answers and who does not, and forgets what nobody asks for', async () => {
    const bench = new KeeperBench();
    bench.table.answering.add(A.text);
    bench.want([A, B]);
    await bench.run(10_000);
    const told = new Map([
      [A.text, 'reachable'],
      [B.text, 'failed'],
    ]);
    assert.deepEqual(bench.outcomes(), told);
    bench.kernel.setLink(bench.device, { carrier: false });
    bench.send({ type: 'hint' });
    await bench.run(1_000);
    assert.deepEqual([...bench.outcomes().values()], ['unknown', 'unknown']);
  });
});
