/** From the start of the process to the last route in the kernel: a first start, and one with what an earlier one left. */
import { AgentProcess, Disk } from '../support/agents.ts';
import { type Bench, type Context, prove, type Row } from '../support/bench.ts';
import { Ear } from '../support/ear.ts';
import { countPrefixes, flushRoutes } from '../support/kernel.ts';
import { Leases, openHosts } from '../support/leases.ts';
import { type Runtime, runtimesOf } from '../support/workers.ts';

const BOUNDS = [
  { peers: 1_000, maxMs: 350 },
  { peers: 5_000, maxMs: 500 },
  { peers: 16_000, maxMs: 1_000 },
] as const;
const TIMEOUT_MS = 60_000;

export const start: Bench = {
  name: 'start',
  what: 'start of the agent to its last route, real etcd: 1,000, 5,000 and 16,000 peers',
  async run(context: Context): Promise<Row[]> {
    await openHosts();
    const rows: Row[] = [];
    for (const { peers, maxMs } of BOUNDS) {
      const leases = await Leases.open(peers);
      for (const runtime of runtimesOf(context.quick)) {
        context.progress(`${peers} peers, ${runtime}`);
        const rounds = context.quick ? 3 : runtime === 'bun' ? 21 : 5;
        const { first, again, firstCpu } = await starts(context, leases, peers, runtime, rounds);
        const must = { of: 'median', max: maxMs } as const;
        const gated = runtime === 'bun' ? { must } : {};
        const proof = 'counted in the kernel';
        const what = `start to the last of ${peers} routes, ${runtime}`;
        rows.push({ what: `first ${what}`, unit: 'ms', runs: first, ...gated, proof });
        rows.push({ what: `later ${what}`, unit: 'ms', runs: again, ...gated, proof });
        rows.push({
          what: `processor time of a first ${what}`,
          unit: 'ms',
          runs: firstCpu,
          proof: '/proc',
        });
      }
      await leases.stop();
    }
    return rows;
  },
};

async function starts(
  { net: { link } }: Context,
  leases: Leases,
  peers: number,
  runtime: Runtime,
  rounds: number,
) {
  const base = countPrefixes();
  const ear = await Ear.open();
  const first: number[] = [];
  const again: number[] = [];
  const firstCpu: number[] = [];
  const { endpoint } = leases;
  for (let round = 0; round < rounds; round += 1) {
    const disk = new Disk();
    for (const runs of [first, again]) {
      const agent = new AgentProcess(runtime, { endpoint, link, disk });
      const at = await ear.count(base + peers, TIMEOUT_MS).catch((error: unknown) => {
        throw new Error(`${error}\nthe agent said:\n${agent.said}`);
      });
      runs.push(at - agent.startedAt);
      if (runs === first) firstCpu.push(agent.cpuMs);
      // What it leaves on disk is complete when it is ready.
      await agent.waitFor(/ready$/m, TIMEOUT_MS);
      await agent.kill();
      await flushRoutes();
      prove(countPrefixes() === base, 'every route is gone before the next start');
    }
    disk.remove();
  }
  await ear.close();
  return { first, again, firstCpu };
}
