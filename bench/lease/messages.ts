/** Our own etcd messages against the raw clients of etcd3, in processes that take turns. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type Bench, type Context, prove, type Row } from '../support/bench.ts';
import { Leases } from '../support/leases.ts';
import type { Cost, ReaderDone, ReaderReady } from '../support/reader.ts';
import { COMMANDS, type Runtime, runtimesOf } from '../support/workers.ts';

const KEYS = 16_000;
const PREFIX = '/coreos.com/network/subnets/';
/** In one process: the first is what a start pays, the others are what it comes to. */
const TIMES = 6;
const READER = fileURLToPath(new URL('../support/reader.ts', import.meta.url));
const CLIENTS = ['ours', 'etcd3'] as const;
type Client = (typeof CLIENTS)[number];

/** What one process took. */
interface Found {
  readonly start: Cost;
  readonly lists: readonly Cost[];
  readonly watches: readonly Cost[];
}

export const messages: Bench = {
  name: 'messages',
  what: 'our etcd messages against the npm client etcd3: load, list and watch of 16,000 keys',
  async run(context: Context): Promise<Row[]> {
    const leases = await Leases.open(KEYS);
    const rows: Row[] = [];
    for (const runtime of runtimesOf(context.quick)) {
      const found: Record<Client, Found[]> = { ours: [], etcd3: [] };
      for (let round = 0; round < (context.quick || runtime !== 'bun' ? 3 : 11); round += 1) {
        context.progress(`${runtime}, round ${round + 1}`);
        for (const client of CLIENTS)
          found[client].push(await read(runtime, client, leases.endpoint));
      }
      rows.push(...rowsOf(runtime, found));
    }
    await leases.stop();
    return rows;
  },
};

/** Each figure as time that passed and as processor time, which the machine's other work and etcd's own do not touch. */
function rowsOf(runtime: Runtime, found: Readonly<Record<Client, readonly Found[]>>): Row[] {
  const figures: readonly [string, (one: Found) => readonly Cost[]][] = [
    ['process start to first answer', ({ start }) => [start]],
    [`first list of ${KEYS} keys`, ({ lists }) => lists.slice(0, 1)],
    [`later list of ${KEYS} keys`, ({ lists }) => lists.slice(1)],
    [`first watch of ${KEYS} events`, ({ watches }) => watches.slice(0, 1)],
    [`later watch of ${KEYS} events`, ({ watches }) => watches.slice(1)],
  ];
  return figures.flatMap(([what, of]) =>
    (['ms', 'cpu'] as const).map((which): Row => {
      const runs = (client: Client) => found[client].flatMap(of).map((cost) => cost[which]);
      return {
        what: `${what}${which === 'cpu' ? ', processor time' : ''}, ${runtime}`,
        unit: 'ms',
        runs: runs('ours'),
        against: { what: 'etcd3', runs: runs('etcd3') },
        ...(runtime === 'bun' && which === 'cpu' && { must: { of: 'ratio', max: 1 } as const }),
        proof: 'keys and events counted',
      };
    }),
  );
}

async function read(runtime: Runtime, client: Client, endpoint: string): Promise<Found> {
  const words = [READER, client, endpoint, PREFIX, String(KEYS), String(TIMES)];
  const all = ['--pdeathsig', 'KILL', '--', ...COMMANDS[runtime], ...words];
  const startedAt = performance.now();
  const child = spawn('setpriv', all, { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async (): Promise<string> => {
    const { value, done } = await lines.next();
    if (done === true) throw new Error(`the reader with ${client} ended`);
    return value;
  };
  const ready: ReaderReady = JSON.parse(await next());
  const start = { ms: performance.now() - startedAt, cpu: ready.cpu };
  const { lists, watches }: ReaderDone = JSON.parse(await next());
  const counts = [...lists, ...watches].map(({ count }) => count);
  prove(
    counts.every((count) => count === KEYS),
    `each key once, with ${client}: ${counts}`,
  );
  prove((await lines.next()).done === true, `the reader with ${client} ends by itself`);
  return { start, lists, watches };
}
