/**
 * Random histories of wishes, foreign hands, links, failing calls and restarts: when all is quiet, what is wanted is
 * kept, what is not is gone, and nothing that a dump had shown to be somebody else's was ever written or deleted.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { v4 } from '../../../src/ip/index.ts';
import { type KernelNeighbour, NUD } from '../../../src/route/neighbours/types.ts';
import { isTheirs, KeeperBench, PROTOCOL } from './bench.ts';

const PEERS = 8;
const at = (peer: number) => v4(0x0a140001 + peer);

/** What somebody else makes of an entry: a kind that stays theirs, or one that the kernel could have made. */
const FOREIGN: readonly Partial<KernelNeighbour>[] = [
  { state: NUD.permanent },
  { state: NUD.permanent, protocol: PROTOCOL },
  { state: NUD.permanent, protocol: PROTOCOL, learned: true },
  { learned: true, managed: true },
  { learned: true, managed: true, protocol: 42 },
  { state: NUD.reachable },
];

const peer = fc.nat(PEERS - 1);
const step = fc.oneof(
  fc.record({ type: fc.constant('want' as const), peer, wanted: fc.boolean() }),
  fc.record({ type: fc.constant('put' as const), peer, how: fc.nat(FOREIGN.length - 1) }),
  fc.record({ type: fc.constant('take' as const), peer }),
  fc.record({ type: fc.constant('carrier' as const), on: fc.boolean() }),
  fc.record({
    type: fc.constant('trouble' as const),
    what: fc.constantFrom('dump' as const, 'apply' as const, 'unknown' as const),
  }),
  fc.record({ type: fc.constant('run' as const), ms: fc.nat(15_000) }),
  fc.record({ type: fc.constant('restart' as const) }),
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

function perform(bench: KeeperBench, wanted: Set<number>, one: Step): Promise<void> | undefined {
  const { device, table } = bench;
  switch (one.type) {
    case 'want':
      if (one.wanted) wanted.add(one.peer);
      else wanted.delete(one.peer);
      bench.want([at(one.peer)], one.wanted);
      return undefined;
    case 'put':
      table.put({ address: at(one.peer), device, ...FOREIGN[one.how] });
      return undefined;
    case 'take':
      table.take({ address: at(one.peer), device });
      return undefined;
    case 'carrier':
      bench.kernel.setLink(device, { carrier: one.on });
      bench.send({ type: 'hint' });
      return undefined;
    case 'trouble':
      table.trouble = one.what;
      return undefined;
    case 'run':
      return bench.run(one.ms);
    case 'restart':
      bench.start('on');
      bench.want([...wanted].map(at));
      bench.complete();
      return undefined;
  }
}

test('when quiet, exactly what is wanted is kept, and what others made stands', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const bench = new KeeperBench('on');
      const wanted = new Set<number>();
      bench.complete();
      for (const one of steps) {
        await bench.run(0);
        await perform(bench, wanted, one);
      }
      bench.kernel.setLink(bench.device, { carrier: true });
      bench.table.trouble = undefined;
      bench.send({ type: 'hint' });
      // The pause before the next try of a failed call is 30 s at most.
      await bench.run(60_000);
      const theirs = bench.table.entries().filter(isTheirs);
      const taken = new Set(theirs.map(({ address: { text } }) => text));
      const expected = [...wanted].map((one) => at(one).text).filter((text) => !taken.has(text));
      assert.deepEqual(bench.kept(), expected.sort());
      assert.deepEqual(bench.wrongs, []);
    }),
    { numRuns: 300 },
  );
});
