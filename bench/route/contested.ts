/** A rival deletes one of our routes in a loop: what that costs, what is said, whether it ends. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type Bench, type Context, prove, type Row } from '../support/bench.ts';
import { countPrefixes } from '../support/kernel.ts';
import { prefixAt } from '../support/routes.ts';
import { Worker } from '../support/workers.ts';
import { pause, share } from './foreign.ts';

const ROUTES = 1_000;
/** A contested route is tried at least every 30 s. */
const RECOVERY_MS = 45_000;

export const contested: Bench = {
  name: 'contested',
  what: 'a rival deletes our route in a loop for 30 s: processor time, said once, recovers',
  async run(context: Context): Promise<Row[]> {
    const rows: Row[] = [];
    for (const driver of ['native', 'ip'] as const) {
      const base = countPrefixes();
      const worker = await Worker.open('bun', driver, context.net.device);
      await worker.ask({ do: 'start', metrics: 1024 });
      await worker.ask({ do: 'install', routes: ROUTES });
      await worker.ask({ do: 'settled' });
      const seconds = context.quick ? 10 : 30;
      context.progress(`${driver}: a rival for ${seconds} s`);
      const loop = `while :; do ip route del ${prefixAt(7).text} 2>/dev/null; done`;
      const rival = spawn('setpriv', ['--pdeathsig', 'KILL', 'sh', '-c', loop], {
        stdio: 'ignore',
      });
      const cpu = await share(worker, () => pause(seconds * 1000));
      const during = (await worker.ask({ do: 'counts' })).counts;
      rival.kill('SIGKILL');
      await once(rival, 'exit');
      prove(during['installed'] === ROUTES - 1, 'one peer, and only one, is without its route');
      const start = performance.now();
      await recovered(worker);
      prove(countPrefixes() === base + ROUTES, 'the route is there again');
      const said = (await worker.ask({ do: 'counts' })).counts['contested'] ?? 0;
      rows.push(
        {
          what: `a rival in a loop for ${seconds} s, ${driver}`,
          unit: '%',
          runs: [cpu],
          must: { of: 'max', max: 5 },
          proof: `${(during['writes'] ?? 0) - ROUTES} repairs`,
        },
        {
          what: `"contested" said, ${driver}`,
          unit: 'times',
          runs: [said],
          must: { of: 'max', max: 1 },
          proof: 'reports counted',
        },
        {
          what: `installed again after the rival stopped, ${driver}`,
          unit: 'ms',
          runs: [performance.now() - start],
          proof: 'counted in the kernel',
        },
      );
      await worker.ask({ do: 'stop' });
      await worker.ask({ do: 'apply', kind: 'delete', routes: ROUTES, metrics: 1024 });
      await worker.close();
    }
    return rows;
  },
};

async function recovered(worker: Worker): Promise<void> {
  const until = performance.now() + RECOVERY_MS;
  while ((await worker.ask({ do: 'counts' })).counts['installed'] !== ROUTES) {
    prove(performance.now() < until, `recovered within ${RECOVERY_MS} ms`);
    await pause(100);
  }
}
