/** One put to its route, and thousands of them at once, counted from the sending of the (last) put. */
import { AgentProcess, Disk } from '../support/agents.ts';
import { type Bench, type Context, prove, type Row } from '../support/bench.ts';
import { Ear } from '../support/ear.ts';
import { countPrefixes, flushRoutes } from '../support/kernel.ts';
import { Leases, openHosts } from '../support/leases.ts';
import { type Runtime, runtimesOf } from '../support/workers.ts';

const TIMEOUT_MS = 60_000;
/** From the end of one change to the next put: the firewall's set of gateways follows a change after 200 ms. */
const PAUSE_MS = 20;
const BURST = 5_000;
/** Puts under way at once: etcd is never without one to take, and the last one sent is among the last taken. */
const IN_FLIGHT = 64;

export const put: Bench = {
  name: 'put',
  what: 'one put to its route, with 1,000 and with 16,000 peers',
  async run(context: Context): Promise<Row[]> {
    await openHosts();
    const rows: Row[] = [];
    for (const peers of [1_000, 16_000]) {
      for (const runtime of runtimesOf(context.quick)) {
        context.progress(`${peers} peers, ${runtime}`);
        const times = context.quick ? 50 : runtime === 'bun' ? 500 : 100;
        const { sent, answered } = await withAgent(context, runtime, peers, (leases, ear) =>
          puts(leases, ear, peers, times),
        );
        const of = `${peers} peers, ${runtime}`;
        const proof = 'the kernel’s event, counted';
        const row = { unit: 'ms', proof } as const;
        rows.push(
          { ...row, what: `put to route, ${of}`, runs: sent, ...must(runtime, 'median', 2) },
          { ...row, what: `the same, 95 of 100`, runs: sent, ...must(runtime, 'p95', 5) },
          { ...row, what: `put to etcd’s answer, ${of}`, runs: answered },
        );
      }
    }
    return rows;
  },
};

export const burst: Bench = {
  name: 'burst',
  what: '5,000 leases put as fast as etcd takes them: last put to last route',
  async run(context: Context): Promise<Row[]> {
    await openHosts();
    const rows: Row[] = [];
    for (const runtime of runtimesOf(context.quick)) {
      const after: number[] = [];
      const whole: number[] = [];
      for (let round = 0; round < (context.quick || runtime !== 'bun' ? 3 : 9); round += 1) {
        context.progress(`${runtime}, round ${round + 1}`);
        const times = await withAgent(context, runtime, 0, allAtOnce);
        after.push(times.after);
        whole.push(times.whole);
      }
      const row = { unit: 'ms', proof: 'counted in the kernel' } as const;
      rows.push(
        {
          ...row,
          what: `last of ${BURST} puts sent to last route, ${runtime}`,
          runs: after,
          ...must(runtime, 'median', 50),
        },
        { ...row, what: `first put to last route, ${runtime}`, runs: whole },
      );
    }
    return rows;
  },
};

function must(runtime: Runtime, of: 'median' | 'p95', max: number): Pick<Row, 'must'> {
  return runtime === 'bun' ? { must: { of, max } } : {};
}

/** An agent that has settled with `peers` routes; gone afterwards, with all that it did. */
async function withAgent<Found>(
  { net: { link } }: Context,
  runtime: Runtime,
  peers: number,
  work: (leases: Leases, ear: Ear) => Promise<Found>,
): Promise<Found> {
  const base = countPrefixes();
  const leases = await Leases.open(peers);
  const disk = new Disk();
  const ear = await Ear.open();
  const agent = new AgentProcess(runtime, { endpoint: leases.endpoint, link, disk });
  await agent.waitFor(/ready$/m, TIMEOUT_MS);
  await ear.count(base + peers, TIMEOUT_MS);
  const found = await work(leases, ear);
  await agent.kill();
  await ear.close();
  await leases.stop();
  disk.remove();
  await flushRoutes();
  return found;
}

async function puts(leases: Leases, ear: Ear, peers: number, times: number) {
  const base = countPrefixes();
  const sent: number[] = [];
  const answered: number[] = [];
  for (let index = 0; index < times; index += 1) {
    const heard = ear.next(TIMEOUT_MS);
    const start = performance.now();
    const answer = leases.putOne(peers + index).then(() => performance.now());
    sent.push((await heard) - start);
    answered.push((await answer) - start);
    prove(countPrefixes() === base + index + 1, 'each put is one more route');
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  return { sent, answered };
}

async function allAtOnce(leases: Leases, ear: Ear): Promise<{ after: number; whole: number }> {
  const base = countPrefixes();
  const last = ear.count(base + BURST, TIMEOUT_MS);
  const start = performance.now();
  let next = 0;
  let lastSent = start;
  const sender = async (): Promise<void> => {
    while (next < BURST) {
      const index = next;
      next += 1;
      lastSent = performance.now();
      await leases.putOne(index);
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, sender));
  const end = await last;
  return { after: end - lastSent, whole: end - start };
}
