/**
 * Runs a test file's cases in a network namespace of its own, and reports each under its own name.
 * The file runs twice: outside it starts itself again under `unshare --net` with the same runtime and turns the results
 * into cases of the same names and number; inside it runs the bodies. The namespace ends with the inner process.
 */
import assert from 'node:assert/strict';
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { run } from '../../src/core/index.ts';

export type Case = (name: string, body: () => Promise<void>) => void;

/** What a case prints behind this is shown, also from within. */
export const FIGURES = 'figures: ';

interface Outcome {
  readonly name: string;
  readonly error?: string;
}

const RESULTS = 'HOSTGW_TEST_NETNS_RESULTS';
/** Long tests (npm run long) may take an hour. */
const TIMEOUT_MS = process.env['LONG'] === undefined ? 180_000 : 3_600_000;
/** The inner run ends first, so that what it said can be shown. */
const INNER_TIMEOUT_MS = TIMEOUT_MS - 10_000;

/** `url` is the test file's import.meta.url. `define` names the cases: once inside, and once outside for their names. */
export function inNetns(url: string, skip: string | undefined, define: (test: Case) => void): void {
  const results = process.env[RESULTS];
  if (results === undefined) outside(url, skip, define);
  else inside(results, define);
}

function inside(results: string, define: (test: Case) => void): void {
  const record = (outcome: Outcome): void =>
    appendFileSync(results, `${JSON.stringify(outcome)}\n`);
  define((name, body) => {
    test(name, { timeout: TIMEOUT_MS }, async () => {
      try {
        await body();
      } catch (error) {
        record({
          name,
          error: error instanceof Error ? (error.stack ?? error.message) : String(error),
        });
        throw error;
      }
      record({ name });
    });
  });
}

function outside(url: string, skip: string | undefined, define: (test: Case) => void): void {
  let running: Promise<{ outcomes: ReadonlyMap<string, Outcome>; output: string }> | undefined;
  const names = new Set<string>();
  define((name) => {
    assert.ok(!names.has(name), `two cases are called "${name}"`);
    names.add(name);
    test(name, { timeout: TIMEOUT_MS, ...(skip !== undefined && { skip }) }, async () => {
      running ??= runInside(fileURLToPath(url));
      const { outcomes, output } = await running;
      const outcome = outcomes.get(name);
      assert.ok(outcome, `did not run in the namespace; the inner run said:\n${output}`);
      assert.ok(outcome.error === undefined, outcome.error);
    });
  });
}

async function runInside(file: string) {
  const folder = mkdtempSync(join(tmpdir(), 'hostgw-netns-'));
  const results = join(folder, 'results');
  try {
    const words = [
      '--net',
      'env',
      '-u',
      'NODE_TEST_CONTEXT',
      `${RESULTS}=${results}`,
      process.execPath,
    ];
    const said = await run('unshare', [...words, ...testArguments(), file], {
      timeoutMs: INNER_TIMEOUT_MS,
    });
    const lines = existsSync(results) ? readFileSync(results, 'utf8').trimEnd().split('\n') : [];
    const outcomes = lines.map((line): Outcome => JSON.parse(line));
    for (const line of said.stdout.split('\n')) {
      if (line.startsWith(FIGURES)) process.stdout.write(`${line}\n`);
    }
    return {
      outcomes: new Map(outcomes.map((outcome) => [outcome.name, outcome])),
      output: `${said.stdout}${said.stderr}`,
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** How this runtime runs one test file. */
function testArguments(): readonly string[] {
  const { bun, deno } = process.versions;
  if (bun !== undefined) return ['test', '--timeout', String(TIMEOUT_MS)];
  if (deno !== undefined) return ['test', '-A'];
  return ['--test-reporter=spec'];
}
