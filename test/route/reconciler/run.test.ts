/** The reconciler on a driver, with real promises: what the driver does wrong comes back as an input. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Reconciler } from '../../../src/route/reconciler.ts';
import { type RouteReport, runReconciler } from '../../../src/route/run.ts';
import type { RouteDriver } from '../../../src/route/types.ts';
import { ManualClock } from '../../support/clock.ts';
import { FakeKernel } from '../../support/fakeKernel.ts';
import { address, OURS, prefix, WITHIN } from './world.ts';

const A = prefix('10.100.1.0/24');

/** Lets promises settle without time passing. */
async function settle(): Promise<void> {
  for (let i = 0; i < 50; i += 1) await Promise.resolve();
}

function start(change: (driver: RouteDriver) => RouteDriver = (driver) => driver) {
  const kernel = new FakeKernel();
  const eth0 = kernel.addLink('eth0');
  kernel.addAddress(eth0, '10.0.0.1/24');
  const clock = new ManualClock();
  const stop = new AbortController();
  const reports: RouteReport[] = [];
  const random = (): number => 0.5;
  const core = new Reconciler({ protocol: OURS, table: 254, within: WITHIN, random });
  const send = runReconciler({
    driver: change(kernel.driver()),
    core,
    clock,
    random,
    signal: stop.signal,
    onReport: (report) => reports.push(report),
  });
  const advance = async (ms: number): Promise<void> => {
    for (let i = 0; i < ms; i += 10) {
      clock.advance(10);
      await settle();
    }
  };
  const want = (): void => {
    const route = { gateway: address('10.0.0.2'), device: eth0 };
    send({ type: 'desired', changes: [{ prefix: A, route }], complete: true });
  };
  const ours = (): number => kernel.routes().filter((r) => r.protocol === OURS).length;
  return { kernel, clock, stop, reports, send, advance, want, ours };
}

describe('the reconciler on a driver', () => {
  test('installs what is wanted and puts back what somebody deletes', async () => {
    const { kernel, advance, want, ours, stop } = start();
    want();
    await advance(100);
    assert.equal(ours(), 1);
    kernel.foreignDelete({ prefix: A, protocol: OURS });
    assert.equal(ours(), 0);
    await advance(50);
    assert.equal(ours(), 1);
    stop.abort();
  });

  test('puts back within minutes what was deleted without a hint, and leaves no timer behind', async () => {
    const { clock, kernel, advance, want, ours, stop } = start((driver) => ({
      ...driver,
      listen: async () => {},
    }));
    want();
    await advance(1000);
    for (let time = 0; time < 2; time += 1) {
      kernel.foreignDelete({ prefix: A, protocol: OURS });
      await advance(60_000);
      assert.equal(ours(), 0);
      await advance(300_000);
      assert.equal(ours(), 1);
    }
    stop.abort();
    assert.equal(clock.pending, 0);
  });

  test('takes rejected and thrown calls as failures and goes on', async () => {
    let calls = 0;
    const { advance, want, ours, reports, stop } = start((driver) => ({
      ...driver,
      apply: (ops) => {
        calls += 1;
        if (calls === 1) throw new RangeError('operation 0: bad');
        return driver.apply(ops);
      },
    }));
    want();
    await advance(2000);
    assert.equal(ours(), 1);
    assert.ok(reports.some((r) => r.type === 'trouble' && r.reason === 'operation 0: bad'));
    stop.abort();
  });

  test('says that it cannot listen, looks by itself meanwhile, and listens again when it can', async () => {
    const { kernel, advance, want, ours, reports, stop } = start();
    for (let i = 0; i < 4; i += 1) kernel.failures.next({ kind: 'listen' });
    want();
    await advance(200);
    kernel.foreignDelete({ prefix: A, protocol: OURS });
    await advance(10_000);
    assert.equal(ours(), 1);
    const troubles = reports.filter((report) => report.type === 'trouble');
    assert.ok(
      troubles.some(({ about, reason }) => about === 'listen' && reason?.includes('armed')),
    );
    assert.equal(troubles.at(-1)?.reason, undefined);
    kernel.failures.assertConsumed();
    stop.abort();
  });

  test('listens with the Network that is known, and only to that', async () => {
    const filters: string[] = [];
    const { advance, send, stop } = start((driver) => ({
      ...driver,
      listen: (filter, onHint) => {
        filters.push(filter.within.map((p) => p.text).join());
        return driver.listen(filter, onHint);
      },
    }));
    await advance(50);
    send({ type: 'within', prefixes: [prefix('10.200.0.0/16')] });
    await advance(50);
    assert.deepEqual(filters, [WITHIN.map((p) => p.text).join(), '10.200.0.0/16']);
    stop.abort();
  });

  test('does nothing any more once it is stopped', async () => {
    const { clock, advance, want, ours, stop } = start();
    await advance(100);
    stop.abort();
    want();
    await advance(1000);
    assert.equal(ours(), 0);
    assert.equal(clock.pending, 0);
  });
});
