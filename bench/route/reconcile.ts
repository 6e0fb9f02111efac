/** The whole reconciler over the native driver: 16,000 at once, nothing to do, one among 16,000. */
import { type Bench, type Context, prove, type Row } from '../support/bench.ts';
import { countPrefixes } from '../support/kernel.ts';
import { runLimit } from '../support/limit.ts';
import { Worker } from '../support/workers.ts';

const METRICS = 1024;
const ROUTES = 16_000;

export const reconcile: Bench = {
  name: 'reconcile',
  what: 'reconciler and native driver: install 16,000, find nothing to do, change one of 16,000',
  async run(context: Context): Promise<Row[]> {
    const { device } = context.net;
    const base = countPrefixes();
    const worker = await Worker.open('bun', 'native', device);
    const rounds = context.quick ? 5 : 25;
    const warm: number[] = [];
    const limit: number[] = [];
    const cold: number[] = [];
    for (let round = 0; round <= rounds; round += 1) {
      context.progress(`install: round ${round} of ${rounds}`);
      const { addMs } = await runLimit({ device, routes: ROUTES, metrics: METRICS });
      const ms = await install(worker, base);
      await worker.ask({ do: 'stop' });
      await worker.ask({ do: 'apply', kind: 'delete', routes: ROUTES, metrics: METRICS });
      prove(countPrefixes() === base, 'every route was deleted');
      if (round === 0) cold.push(ms);
      else {
        warm.push(ms);
        limit.push(addMs);
      }
    }
    await install(worker, base);
    await worker.ask({ do: 'settled' });
    context.progress('nothing to do');
    const resync = await worker.ask({ do: 'resync', times: context.quick ? 10 : 50 });
    prove(resync.counts['writes'] === 0, 'a dump without a difference writes nothing');
    context.progress('one change');
    const change = await worker.ask({ do: 'change', times: 200 });
    prove(countPrefixes() === base + ROUTES, 'after the changes every prefix has one route');
    await worker.close();
    return [
      {
        what: `install ${ROUTES}`,
        unit: 'ms',
        runs: warm,
        against: { what: 'limit', runs: limit },
        must: { of: 'ratio', max: 1.5 },
        proof: 'counted in the kernel',
      },
      {
        what: `install ${ROUTES}, first time in a process`,
        unit: 'ms',
        runs: cold,
        against: { what: 'limit', runs: limit },
        proof: 'counted in the kernel',
      },
      {
        what: `reconcile ${ROUTES}, nothing to do`,
        unit: 'ms',
        runs: resync.ms,
        must: { of: 'median', max: 15 },
        proof: '0 writes',
      },
      {
        what: `change one of ${ROUTES}`,
        unit: 'ms',
        runs: change.ms,
        must: { of: 'median', max: 1 },
        proof: 'counted in the kernel',
      },
    ];
  },
};

async function install(worker: Worker, base: number): Promise<number> {
  await worker.ask({ do: 'start', metrics: METRICS });
  const { ms } = await worker.ask({ do: 'install', routes: ROUTES });
  prove(countPrefixes() === base + ROUTES, 'every route was installed');
  await worker.ask({ do: 'settled' });
  return ms[0] ?? Number.NaN;
}
