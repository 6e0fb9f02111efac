/** 64,000 routes through the whole reconciler: that it works, how long it takes, what memory it needs. */
import { type Bench, type Context, prove, type Row } from '../support/bench.ts';
import { countPrefixes } from '../support/kernel.ts';
import { runLimit } from '../support/limit.ts';
import { Worker } from '../support/workers.ts';

const ROUTES = 64_000;

export const scale: Bench = {
  name: 'scale',
  what: '64,000 routes: install, dump, find nothing to do, memory of the process',
  async run(context: Context): Promise<Row[]> {
    const { device } = context.net;
    const rows: Row[] = [];
    for (const metrics of context.quick ? [16_384] : [1024, 16_384]) {
      context.progress(`${ROUTES} routes over ${metrics} metrics`);
      const base = countPrefixes();
      const limit = [];
      for (let round = 0; round < 3; round += 1)
        limit.push((await runLimit({ device, routes: ROUTES, metrics })).addMs);
      const worker = await Worker.open('bun', 'native', device);
      const before = (await worker.ask({ do: 'counts' })).counts['rssMb'] ?? Number.NaN;
      await worker.ask({ do: 'start', metrics });
      const install = await worker.ask({ do: 'install', routes: ROUTES });
      prove(countPrefixes() === base + ROUTES, 'every route was installed');
      await worker.ask({ do: 'settled' });
      const dump = [];
      for (let round = 0; round < 5; round += 1) {
        const { ms, counts } = await worker.ask({ do: 'dump' });
        prove(counts['routes'] === ROUTES, 'the dump shows every route');
        dump.push(...ms);
      }
      const resync = await worker.ask({ do: 'resync', times: 10 });
      prove(resync.counts['writes'] === 0, 'a dump without a difference writes nothing');
      const after = (await worker.ask({ do: 'counts' })).counts['rssMb'] ?? Number.NaN;
      await worker.ask({ do: 'stop' });
      await worker.ask({ do: 'apply', kind: 'delete', routes: ROUTES, metrics });
      await worker.close();
      const of = `${ROUTES}, ${metrics} metrics`;
      const proof = 'counted in the kernel';
      rows.push(
        {
          what: `install ${of}, first time`,
          unit: 'ms',
          runs: install.ms,
          against: { what: 'limit', runs: limit },
          proof,
        },
        { what: `dump ${of}`, unit: 'ms', runs: dump, proof: 'routes counted' },
        { what: `nothing to do, ${of}`, unit: 'ms', runs: resync.ms, proof: '0 writes' },
        { what: `memory before, ${of}`, unit: 'MB', runs: [before], proof: 'resident' },
        { what: `memory with all, ${of}`, unit: 'MB', runs: [after], proof: 'resident' },
      );
    }
    return rows;
  },
};
