/** `npm run bench -- NAME`: runs one benchmark in a network namespace of its own and shows what it found. */
import { writeFileSync } from 'node:fs';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { hostile, idle } from './lease/idle.ts';
import { messages } from './lease/messages.ts';
import { burst, put } from './lease/put.ts';
import { start } from './lease/start.ts';
import { apply } from './route/apply.ts';
import { chunk } from './route/chunk.ts';
import { contested } from './route/contested.ts';
import { flap } from './route/flap.ts';
import { foreign } from './route/foreign.ts';
import { ipBatch } from './route/ip.ts';
import { reconcile } from './route/reconcile.ts';
import { repair } from './route/repair.ts';
import { scale } from './route/scale.ts';
import type { Bench } from './support/bench.ts';
import { buildLimit } from './support/limit.ts';
import { enter, isInside, setUp } from './support/netns.ts';
import { judge, machine, table } from './support/report.ts';

const BENCHES: readonly Bench[] = [
  apply,
  chunk,
  reconcile,
  ipBatch,
  flap,
  repair,
  foreign,
  contested,
  scale,
  start,
  put,
  burst,
  idle,
  hostile,
  messages,
];

const USAGE = `usage: npm run bench -- NAME [--quick] [--json FILE] [--gate]
  --quick      fewer runs, smaller sizes
  --json FILE  writes every run there
  --gate       exit status 1 if a bound is missed
${BENCHES.map(({ name, what }) => `  ${name.padEnd(12)} ${what}`).join('\n')}`;

const progress = (sentence: string): void => {
  process.stderr.write(`${sentence}\n`);
};

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      quick: { type: 'boolean', default: false },
      gate: { type: 'boolean', default: false },
      json: { type: 'string' },
    },
  });
  const [name, ...rest] = positionals;
  const bench = BENCHES.find((one) => one.name === name);
  if (bench === undefined || rest.length > 0) {
    progress(USAGE);
    return 2;
  }
  if (!isInside()) {
    await buildLimit();
    return enter();
  }
  const { quick } = values;
  const rows = await bench.run({ net: await setUp(), quick, progress });
  const verdicts = rows.map(judge);
  process.stdout.write(`${table(verdicts)}\n`);
  if (values.json !== undefined) {
    const found = { bench: bench.name, quick, machine: machine(), rows: verdicts };
    writeFileSync(values.json, `${JSON.stringify(found, null, 1)}\n`);
  }
  return values.gate && verdicts.some(({ kept }) => kept === false) ? 1 : 0;
}

// A benchmark that failed leaves workers behind that would keep this process alive: they end with it.
const status = await main().catch((error: unknown) => {
  progress(error instanceof Error ? error.message : String(error));
  return 1;
});
process.exit(status);
