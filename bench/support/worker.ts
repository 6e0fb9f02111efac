/** A program with a route driver and a reconciler, told by lines on standard input what to do (protocol.ts). */
import process from 'node:process';
import { createInterface } from 'node:readline';
import { openIpDriver } from '../../src/route/ip/index.ts';
import { openNative } from '../../src/route/native/index.ts';
import type { RouteDriver } from '../../src/route/types.ts';
import type { Answer, Command, Reply } from './protocol.ts';
import { Reconciling } from './reconciling.ts';
import { NETWORK, opsOf, PROTOCOL } from './routes.ts';

let driver: RouteDriver | undefined;
let device = 0;
let reconciling: Reconciling | undefined;

const FILTER = { table: 254, protocol: PROTOCOL, within: [NETWORK] };
const SILENT = { debug() {}, info() {}, warn() {}, error() {} };

function opened<T>(thing: T | undefined, what: string): T {
  if (thing === undefined) throw new Error(`there is no ${what} yet`);
  return thing;
}

async function open(name: 'native' | 'ip'): Promise<RouteDriver> {
  if (name === 'ip') return openIpDriver({ log: SILENT });
  const native = openNative();
  if (native.kind !== 'loaded') throw new Error(native.reason);
  return native.driver;
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

async function perform(command: Command): Promise<Reply> {
  switch (command.do) {
    case 'open':
      driver = await open(command.driver);
      device = command.device;
      return { ms: [], counts: {} };
    case 'apply': {
      const ops = opsOf(command.kind, command.routes, device, command.metrics);
      const on = opened(driver, 'driver');
      let failures = 0;
      const ms = await timed(async () => {
        const result = await on.apply(ops);
        failures = result.kind === 'complete' ? result.failures.length : ops.length;
      });
      return { ms: [ms], counts: { failures } };
    }
    case 'dump': {
      let routes = 0;
      const ms = await timed(async () => {
        routes = (await opened(driver, 'driver').dump(FILTER)).length;
      });
      return { ms: [ms], counts: { routes } };
    }
    case 'start':
      reconciling = new Reconciling(opened(driver, 'driver'), device, command.metrics);
      await reconciling.started();
      return { ms: [], counts: {} };
    case 'install':
      return { ms: [await opened(reconciling, 'reconciler').install(command.routes)], counts: {} };
    case 'change':
      return opened(reconciling, 'reconciler').change(command.times);
    case 'resync':
      return opened(reconciling, 'reconciler').resync(command.times);
    case 'settled':
      await opened(reconciling, 'reconciler').settled();
      return { ms: [], counts: {} };
    case 'counts': {
      const memory = { rssMb: process.memoryUsage().rss / 2 ** 20 };
      return { ms: [], counts: { ...reconciling?.counts(), ...memory } };
    }
    case 'stop':
      reconciling?.stop();
      reconciling = undefined;
      return { ms: [], counts: {} };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const command: Command = JSON.parse(line);
  const answer: Answer = await perform(command).catch((error: unknown) => ({
    error: error instanceof Error ? (error.stack ?? error.message) : String(error),
  }));
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
reconciling?.stop();
await driver?.close();
