/** Rows as a table for people and as JSON for programs. */
import { readFileSync } from 'node:fs';
import { arch, cpus, release } from 'node:os';
import process from 'node:process';
import type { Row } from './bench.ts';
import { median, quantile } from './stats.ts';

export interface Verdict extends Row {
  readonly median: number;
  readonly p95: number;
  /** Against the other's median. */
  readonly ratio?: number;
  /** Whether the bound is kept; undefined where there is none. */
  readonly kept?: boolean;
}

export function judge(row: Row): Verdict {
  const middle = median(row.runs);
  const p95 = quantile(row.runs, 0.95);
  const ratio = row.against && middle / median(row.against.runs);
  const { must } = row;
  const found = must && { median: middle, p95, max: Math.max(...row.runs), ratio }[must.of];
  return {
    ...row,
    median: middle,
    p95,
    ...(ratio !== undefined && { ratio }),
    ...(must && { kept: found !== undefined && found <= must.max }),
  };
}

export function table(verdicts: readonly Verdict[]): string {
  const head = ['what', 'median', 'p95', 'ratio', 'must', '', 'shown by'];
  const lines = verdicts.map((verdict) => [
    `${verdict.what} (${verdict.runs.length})`,
    `${short(verdict.median)} ${verdict.unit}`,
    verdict.runs.length < 20 ? '' : `${short(verdict.p95)} ${verdict.unit}`,
    verdict.ratio === undefined ? '' : `${verdict.ratio.toFixed(2)} x ${verdict.against?.what}`,
    verdict.must === undefined ? '' : `${verdict.must.of} <= ${verdict.must.max}`,
    verdict.kept === undefined ? '' : verdict.kept ? 'ok' : 'MISSED',
    verdict.proof,
  ]);
  const all = [head, ...lines];
  const widths = head.map((_, column) => Math.max(...all.map((line) => line[column]?.length ?? 0)));
  return all
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

const short = (value: number): string =>
  value >= 100 ? value.toFixed(0) : value >= 1 ? value.toFixed(1) : value.toFixed(3);

/** What a figure depends on besides the program. */
export function machine(): Record<string, string | number> {
  const { bun, deno, node } = process.versions;
  const cpu = /model name\s*:\s*(.*)/.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1] ?? arch();
  return {
    date: new Date().toISOString(),
    kernel: release(),
    cpu,
    cpus: cpus().length,
    runtime:
      bun !== undefined ? `bun ${bun}` : deno !== undefined ? `deno ${deno}` : `node ${node}`,
  };
}
