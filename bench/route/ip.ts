/** The ip driver against a bare `ip -batch` of the same lines from a file. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '../../src/core/index.ts';
import { batchInput } from '../../src/route/ip/batch.ts';
import { type Bench, type Context, prove, type Row } from '../support/bench.ts';
import { countPrefixes } from '../support/kernel.ts';
import { opsOf } from '../support/routes.ts';
import { Worker } from '../support/workers.ts';

const ROUTES = 16_000;
const METRICS = 1024;
const KINDS = ['add', 'delete'] as const;
type Kind = (typeof KINDS)[number];

export const ipBatch: Bench = {
  name: 'ip',
  what: 'one batch of 16,000 routes, ip driver against a bare ip -batch of the same lines',
  async run(context: Context): Promise<Row[]> {
    const { device, link } = context.net;
    const rounds = context.quick ? 3 : 15;
    const folder = mkdtempSync(join(tmpdir(), 'hostgw-bench-'));
    const worker = await Worker.open('bun', 'ip', device);
    const bare: Record<Kind, number[]> = { add: [], delete: [] };
    const ours: Record<Kind, number[]> = { add: [], delete: [] };
    try {
      for (const kind of KINDS)
        writeFileSync(
          join(folder, kind),
          batchInput(opsOf(kind, ROUTES, device, METRICS), () => link),
        );
      for (let round = 0; round <= rounds; round += 1) {
        context.progress(`round ${round} of ${rounds}`);
        for (const kind of KINDS) {
          const ms = await counted(kind, () => batch(join(folder, kind)));
          if (round > 0) bare[kind].push(ms);
        }
        for (const kind of KINDS) {
          const ask = { do: 'apply', kind, routes: ROUTES, metrics: METRICS } as const;
          const ms = await counted(kind, async () => (await worker.ask(ask)).ms[0] ?? Number.NaN);
          if (round > 0) ours[kind].push(ms);
        }
      }
    } finally {
      rmSync(folder, { recursive: true });
      await worker.close();
    }
    return KINDS.map((kind) => ({
      what: `${kind} ${ROUTES} routes, ip driver`,
      unit: 'ms',
      runs: ours[kind],
      against: { what: 'ip -batch', runs: bare[kind] },
      must: { of: 'ratio', max: 1.3 },
      proof: 'counted in the kernel',
    }));
  },
};

async function counted(kind: Kind, work: () => Promise<number>): Promise<number> {
  const before = countPrefixes();
  const ms = await work();
  const change = kind === 'add' ? ROUTES : -ROUTES;
  prove(countPrefixes() === before + change, `${kind} of every route`);
  return ms;
}

async function batch(file: string): Promise<number> {
  const start = performance.now();
  const { code, stderr } = await run('ip', ['-force', '-batch', file], { timeoutMs: 120_000 });
  prove(code === 0, `ip -batch worked: ${stderr.slice(0, 200)}`);
  return performance.now() - start;
}
