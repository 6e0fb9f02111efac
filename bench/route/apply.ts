/** `driver.apply` on the three runtimes against the limit program, in turn. */
import { type Bench, type Context, prove, type Row } from '../support/bench.ts';
import { countPrefixes } from '../support/kernel.ts';
import { type LimitTimes, runLimit } from '../support/limit.ts';
import { type Runtime, Worker } from '../support/workers.ts';

const RUNTIMES: readonly Runtime[] = ['bun', 'deno', 'node'];
const METRICS = 1024;

export const apply: Bench = {
  name: 'apply',
  what: 'one batch of 16,000 routes, native driver against the kernel’s limit: add, delete',
  async run(context: Context): Promise<Row[]> {
    const { device } = context.net;
    const routes = 16_000;
    const rounds = context.quick ? 5 : 25;
    const workers = new Map<Runtime, Worker>();
    for (const runtime of RUNTIMES)
      workers.set(runtime, await Worker.open(runtime, 'native', device));
    const limit: LimitTimes[] = [];
    const times = new Map(RUNTIMES.map((runtime) => [runtime, [] as LimitTimes[]]));
    // The first round warms everything up and does not count.
    for (let round = 0; round <= rounds; round += 1) {
      context.progress(`round ${round} of ${rounds}`);
      const [ours, kernels] = [new Map<Runtime, LimitTimes>(), [] as LimitTimes[]];
      for (const [runtime, worker] of workers) {
        kernels.push(await runLimit({ device, routes, metrics: METRICS }));
        ours.set(runtime, await once(worker, routes));
      }
      if (round === 0) continue;
      limit.push(...kernels);
      for (const [runtime, found] of ours) times.get(runtime)?.push(found);
    }
    for (const worker of workers.values()) await worker.close();
    return RUNTIMES.flatMap((runtime) =>
      (['addMs', 'deleteMs'] as const).map((which): Row => {
        const verb = which === 'addMs' ? 'add' : 'delete';
        return {
          what: `${verb} ${routes} routes, ${routes} gateways, ${runtime}`,
          unit: 'ms',
          runs: (times.get(runtime) ?? []).map((found) => found[which]),
          against: { what: 'limit', runs: limit.map((found) => found[which]) },
          ...(runtime === 'bun' && { must: { of: 'ratio', max: 1.15 } as const }),
          proof: 'counted in the kernel',
        };
      }),
    );
  },
};

async function once(worker: Worker, routes: number): Promise<LimitTimes> {
  const before = countPrefixes();
  const of = { routes, metrics: METRICS };
  const add = await worker.ask({ do: 'apply', kind: 'add', ...of });
  prove(countPrefixes() === before + routes, 'every route was added');
  const remove = await worker.ask({ do: 'apply', kind: 'delete', ...of });
  prove(countPrefixes() === before, 'every route was deleted');
  return { addMs: add.ms[0] ?? Number.NaN, deleteMs: remove.ms[0] ?? Number.NaN };
}
