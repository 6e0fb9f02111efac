/** What an agent costs when nothing happens: writes to etcd, processor time, memory; and what hostile leases cost it. */
import { AgentProcess, Disk } from '../support/agents.ts';
import { type Bench, type Context, prove, type Row } from '../support/bench.ts';
import { countPrefixes, flushRoutes, waitFor } from '../support/kernel.ts';
import { Leases, openHosts } from '../support/leases.ts';
import { gatewayAt, prefixAt } from '../support/routes.ts';
import { type Runtime, runtimesOf } from '../support/workers.ts';

const TIMEOUT_MS = 60_000;
const HONEST = 1_000;
const HOSTILE = 10_000;

export const idle: Bench = {
  name: 'idle',
  what: '60 s in which nothing happens, with 1,000 and with 16,000 peers: writes, cpu, memory',
  async run(context: Context): Promise<Row[]> {
    await openHosts();
    const rows: Row[] = [];
    for (const { peers, maxMb } of [
      { peers: 1_000, maxMb: 100 },
      { peers: 16_000, maxMb: 150 },
    ]) {
      for (const runtime of runtimesOf(context.quick)) {
        context.progress(`${peers} peers, ${runtime}`);
        rows.push(...(await idleRows(context, runtime, peers, maxMb)));
      }
    }
    return rows;
  },
};

export const hostile: Bench = {
  name: 'hostile',
  what: '10,000 leases at once that must not be believed: memory, and an honest peer among them',
  async run(context: Context): Promise<Row[]> {
    await openHosts();
    const more: number[] = [];
    const served: number[] = [];
    for (let round = 0; round < (context.quick ? 1 : 5); round += 1) {
      context.progress(`round ${round + 1}`);
      await withAgent(context, 'bun', HONEST, async (agent, leases) => {
        await pause(5_000);
        const base = countPrefixes();
        const before = agent.rssMb;
        agent.forgetPeak();
        await leases.putRaw(hostileLeases());
        const start = performance.now();
        await leases.putOne(HONEST);
        const came = () => countPrefixes() === base + 1;
        await waitFor('an honest peer behind them has its route', TIMEOUT_MS, came);
        served.push(performance.now() - start);
        await pause(5_000);
        prove(came(), 'no hostile lease has a route');
        more.push(agent.peakMb - before);
      });
    }
    return [
      {
        what: `more memory at most, ${HOSTILE} hostile leases, bun`,
        unit: 'MB',
        runs: more,
        must: { of: 'max', max: 50 },
        proof: 'VmHWM',
      },
      {
        what: 'an honest put behind them to its route',
        unit: 'ms',
        runs: served,
        proof: 'counted in the kernel',
      },
    ];
  },
};

async function idleRows(
  context: Context,
  runtime: Runtime,
  peers: number,
  maxMb: number,
): Promise<Row[]> {
  const seconds = context.quick ? 20 : 60;
  return withAgent(context, runtime, peers, async (agent, leases) => {
    // Neighbours are resolved, states are told, garbage is collected.
    await pause(15_000);
    const revision = await leases.revision();
    const begin = { cpu: agent.cpuMs, at: performance.now() };
    await pause(seconds * 1000);
    const share = (100 * (agent.cpuMs - begin.cpu)) / (performance.now() - begin.at);
    prove((await leases.revision()) === revision, 'nothing was written to etcd');
    const of = `${peers} peers, ${runtime}`;
    const gated = runtime === 'bun';
    return [
      {
        what: `processor time of ${seconds} idle seconds, ${of}`,
        unit: '%',
        runs: [share],
        ...(gated && peers === 1_000 && { must: { of: 'max', max: 0.2 } as const }),
        proof: '0 writes, programs counted too',
      },
      {
        what: `memory, ${of}`,
        unit: 'MB',
        runs: [agent.rssMb],
        ...(gated && { must: { of: 'max', max: maxMb } as const }),
        proof: 'VmRSS',
      },
      { what: `memory at most, ${of}`, unit: 'MB', runs: [agent.peakMb], proof: 'VmHWM' },
    ];
  });
}

async function withAgent<Found>(
  { net: { link } }: Context,
  runtime: Runtime,
  peers: number,
  work: (agent: AgentProcess, leases: Leases) => Promise<Found>,
): Promise<Found> {
  const base = countPrefixes();
  const leases = await Leases.open(peers);
  const disk = new Disk();
  const agent = new AgentProcess(runtime, { endpoint: leases.endpoint, link, disk });
  await agent.waitFor(/ready$/m, TIMEOUT_MS);
  await waitFor('every route is there', TIMEOUT_MS, () => countPrefixes() === base + peers);
  const found = await work(agent, leases);
  await agent.kill();
  await leases.stop();
  disk.remove();
  await flushRoutes();
  return found;
}

const value = (ip: string): string => JSON.stringify({ PublicIP: ip, BackendType: 'host-gw' });

/** Ten kinds, a thousand of each; every one is another key. */
function hostileLeases(): (readonly [string, string])[] {
  const kinds: ((index: number) => readonly [string, string])[] = [
    // Outside Network, of a wrong length, inside the link's own prefix.
    (n) => [`11.${n >> 8}.${n & 255}.0-24`, value(gatewayAt(n).text)],
    (n) => [`10.200.${n & 255}.${n >> 8}-32`, value(gatewayAt(n).text)],
    (n) => [`172.${16 + (n >> 8)}.${n & 255}.0-24`, value(gatewayAt(n).text)],
    // A peer's own subnet under another name, gateways that are off-link, loopback, multicast, ours.
    (n) => [`010.${n >> 8}.${n & 255}.0-24`, value(gatewayAt(n).text)],
    (n) => [free(n), value(`192.0.2.${n & 255}`)],
    (n) => [free(1_000 + n), value(`127.0.0.${n & 255}`)],
    (n) => [free(2_000 + n), value(`224.0.0.${n & 255}`)],
    (n) => [free(3_000 + n), value('172.16.0.1')],
    // No JSON, and much of it; control characters in the name.
    (n) => [free(4_000 + n), `{"PublicIP":"${'x'.repeat(2_000)}`],
    (n) => [`\u001b[2J${n}\n`, value(gatewayAt(n).text)],
  ];
  return kinds.flatMap((kind) => Array.from({ length: HOSTILE / kinds.length }, (_, n) => kind(n)));
}

/** The name of a subnet that is nobody's. */
function free(index: number): string {
  const { address, length } = prefixAt(20_000 + index);
  return `${address.text}-${length}`;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
