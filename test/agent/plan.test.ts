/** What the dry run makes of large tables and of holds that end; test/lab/plan.test.ts runs the whole of it. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { noteReport } from '../../src/agent/dryRun.ts';
import { type Planned, planLines } from '../../src/agent/planText.ts';
import { agentOptions } from '../../src/config/index.ts';
import { systemClock } from '../../src/core/index.ts';
import {
  PROTOCOL_BOOT,
  Reconciler,
  RouteMetrics,
  type RouteReport,
  rehearse,
  runReconciler,
  TABLE_MAIN,
} from '../../src/route/index.ts';
import { FakeKernel } from '../support/fakeKernel.ts';
import { kernelRouteOf } from '../support/fakeTable.ts';
import { cpuMs, growth } from '../support/growth.ts';
import { address, prefix } from '../support/leases.ts';

const MANY = 8000;
const OPTIONS = agentOptions(new Map(), {});
const DEVICE = 2;
const wantedOf = (count: number) =>
  Array.from({ length: count }, (_, index) => ({
    prefix: prefix(`10.${index >> 8}.${index & 255}.0/24`),
    route: { gateway: address(`172.16.${index >> 8}.${index & 255}`), device: DEVICE },
  }));

/** The plan for so many peers, beside routes of these protocols; and how long it took. */
async function planOf(
  protocols: readonly number[],
  count = MANY,
): Promise<{ lines: string[]; ms: number }> {
  const wanted = wantedOf(count);
  const routes = wanted.flatMap(({ prefix, route }) =>
    protocols.map((protocol) =>
      kernelRouteOf({ prefix, ...route, metric: 0, protocol, table: TABLE_MAIN }),
    ),
  );
  const real = { ...new FakeKernel().driver(), name: 'fake', dump: async () => routes };
  const before = cpuMs();
  const rehearsal = rehearse(
    real,
    () => true,
    () => {},
  );
  const metrics = new RouteMetrics(OPTIONS.routeMetrics);
  const random = (): number => 0.5;
  const owner = { protocol: OPTIONS.routeProtocol, table: TABLE_MAIN };
  const core = new Reconciler({ ...owner, within: [prefix('10.0.0.0/8')], metrics, random });
  const notes: Notes = { peers: new Map(), hold: undefined, settled: false };
  const stop = new AbortController();
  await new Promise<void>((resolve) => {
    const onReport = (report: RouteReport): void => {
      noteReport(notes, report);
      if (notes.settled) resolve();
    };
    const { signal } = stop;
    const given = { driver: rehearsal.driver, core, clock: systemClock, random, signal, onReport };
    runReconciler(given)({ type: 'desired', changes: wanted, complete: true });
  });
  stop.abort();
  const lines = planLines({ ...PLAN, ...notes, rehearsal });
  return { lines, ms: cpuMs() - before };
}

type Notes = Parameters<typeof noteReport>[0];

const PLAN: Omit<Planned, 'rehearsal' | 'peers' | 'hold'> = {
  options: OPTIONS,
  table: TABLE_MAIN,
  subnet: '10.200.0.0/24',
  own: undefined,
  facts: undefined,
  etcdKeys: new Set(),
  files: new Set(),
  warnings: new Set(),
};

// A plan that searched the table for each of its lines took most of a minute.
describe(`a plan of ${MANY} peers`, () => {
  test('without any route adds each', async () => {
    const { lines } = await planOf([]);
    const last = `# ${MANY} to add, 0 to change, 0 to remove, 0 as they should be`;
    assert.equal(lines.at(-1), last);
    assert.equal(lines.filter((line) => line.includes('which has no route')).length, MANY);
  });

  test("that takes over flannel's routes changes each", async () => {
    const { lines } = await planOf([PROTOCOL_BOOT]);
    const last = `# 0 to add, ${MANY} to change, 0 to remove, 0 as they should be`;
    assert.equal(lines.at(-1), last);
    assert.equal(lines.filter((line) => line.startsWith('ip ')).length, 2 * MANY);
  });

  for (const protocols of [[], [PROTOCOL_BOOT]]) {
    const beside = protocols.length === 0 ? 'no route' : 'as many routes';
    test(`beside ${beside} costs no more for each peer than a small one`, async () => {
      const cost = async (count: number) => (await planOf(protocols, count)).ms;
      const factor = await growth(cost, { small: MANY / 16, large: MANY / 2, limit: 32 });
      assert.ok(factor < 32, `eight times the peers cost ${factor.toFixed(1)} times as much`);
    });
  }
});

describe('a hold', () => {
  const driver = new FakeKernel().driver();
  const rehearsal = rehearse(
    driver,
    () => true,
    () => {},
  );
  const notes: Notes = { peers: new Map(), hold: undefined, settled: false };
  const lines = (): string => planLines({ ...PLAN, ...notes, rehearsal }).join('\n');

  test('is told in the plan while it stands, and no longer', () => {
    noteReport(notes, { type: 'hold', count: 4, of: 5, until: 0 });
    assert.match(lines(), /# 4 of 5 peers are gone at once/);
    noteReport(notes, { type: 'holdCleared', why: 'returned' });
    assert.doesNotMatch(lines(), /gone at once/);
  });
});
