/** The uplink goes down and comes up again: how long until every route is back. */
import { type Bench, type Context, prove, type Row } from '../support/bench.ts';
import { countPrefixes, Hand, waitFor } from '../support/kernel.ts';
import { Worker } from '../support/workers.ts';

const ROUTES = 5_000;
const BOUNDS = { native: 60, ip: 100 } as const;

export const flap: Bench = {
  name: 'flap',
  what: 'uplink down and up with 5,000 routes: all back, native and ip driver',
  async run(context: Context): Promise<Row[]> {
    const rows: Row[] = [];
    for (const driver of ['native', 'ip'] as const) {
      const runs = await flaps(context, driver);
      rows.push({
        what: `${ROUTES} routes back after the link is up, ${driver}`,
        unit: 'ms',
        runs,
        must: { of: 'median', max: BOUNDS[driver] },
        proof: 'counted in the kernel',
      });
    }
    return rows;
  },
};

async function flaps(context: Context, driver: 'native' | 'ip'): Promise<number[]> {
  const { link, device } = context.net;
  const base = countPrefixes();
  const worker = await Worker.open('bun', driver, device);
  await worker.ask({ do: 'start', metrics: 1024 });
  await worker.ask({ do: 'install', routes: ROUTES });
  const hand = new Hand();
  const runs: number[] = [];
  const rounds = context.quick ? 3 : 20;
  for (let round = 1; round <= rounds; round += 1) {
    context.progress(`${driver}: flap ${round} of ${rounds}`);
    await worker.ask({ do: 'settled' });
    prove(countPrefixes() === base + ROUTES, 'every route is there before the link goes down');
    hand.do(`link set ${link} down`);
    await waitFor('the routes go', 5_000, () => countPrefixes() <= base);
    await new Promise((resolve) => setTimeout(resolve, 500));
    hand.do(`link set ${link} up`);
    runs.push(
      await waitFor('the routes come back', 60_000, () => countPrefixes() === base + ROUTES),
    );
  }
  await hand.close();
  await worker.ask({ do: 'stop' });
  await worker.ask({ do: 'apply', kind: 'delete', routes: ROUTES, metrics: 1024 });
  await worker.close();
  return runs;
}
