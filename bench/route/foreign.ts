/** Somebody else changes routes outside Network without pause: what that costs the agent. */
import { type Bench, type Context, prove, type Row } from '../support/bench.ts';
import { cpuMs, Hand } from '../support/kernel.ts';
import { Worker } from '../support/workers.ts';

const ROUTES = 1_000;
const RATE = 2_000;
/** Lines are written so often. */
const STEP_MS = 10;

export const foreign: Bench = {
  name: 'foreign',
  what: '2,000 foreign route changes a second outside Network: processor time, native and ip driver',
  async run(context: Context): Promise<Row[]> {
    const rows: Row[] = [];
    for (const driver of ['native', 'ip'] as const) {
      const worker = await Worker.open('bun', driver, context.net.device);
      await worker.ask({ do: 'start', metrics: 0x400 });
      await worker.ask({ do: 'install', routes: ROUTES });
      await worker.ask({ do: 'settled' });
      const seconds = context.quick ? 3 : 10;
      const idle = await share(worker, () => pause(seconds * 1000));
      let changes = 0;
      const dumps = (await worker.ask({ do: 'counts' })).counts['dumps'] ?? 0;
      const busy = await share(worker, async () => {
        changes = await churn(seconds);
      });
      const { counts } = await worker.ask({ do: 'counts' });
      prove(changes >= 0.9 * RATE * seconds, `${changes} foreign changes in ${seconds} s`);
      prove(counts['installed'] === ROUTES, 'our own routes stand');
      const proof = `${changes} changes, ${(counts['dumps'] ?? 0) - dumps} dumps`;
      const unit = '%' as const;
      rows.push({ what: `idle, ${driver}`, unit, runs: [idle], proof: 'nothing happens' });
      rows.push({
        what: `${RATE} foreign changes a second, ${driver}`,
        unit,
        runs: [busy],
        must: { of: 'max', max: 5 },
        proof,
      });
      await worker.ask({ do: 'stop' });
      await worker.ask({ do: 'apply', kind: 'delete', routes: ROUTES, metrics: 0x400 });
      await worker.close();
    }
    return rows;
  },
};

/** Percent of one processor that the worker and its children took while `work` lasted. */
export async function share(worker: Worker, work: () => Promise<void>): Promise<number> {
  const [cpu, start] = [cpuMs(worker.pid), performance.now()];
  await work();
  return ((cpuMs(worker.pid) - cpu) / (performance.now() - start)) * 100;
}

export const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, ms));

/** Adds and deletes routes of 192.168.0.0/16 at RATE for so long; returns how many changes were asked for. */
async function churn(seconds: number): Promise<number> {
  const hand = new Hand();
  const start = performance.now();
  let asked = 0;
  while (performance.now() - start < seconds * 1000) {
    const due = Math.floor(((performance.now() - start) / 1000) * RATE);
    for (; asked < due; asked += 1) {
      const verb = asked % 2 === 0 ? 'add' : 'del';
      hand.do(`route ${verb} 192.168.${(asked >> 1) % 256}.0/24 via 172.16.0.9 proto 77`);
    }
    await pause(STEP_MS);
  }
  await hand.close();
  return asked;
}
