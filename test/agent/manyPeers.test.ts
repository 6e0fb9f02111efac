/** The route side of an agent with thousands of peers: one link that goes down is news of each of them. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Condition, Health } from '../../src/agent/health.ts';
import { RouteSide } from '../../src/agent/routeSide.ts';
import { ManualClock } from '../support/clock.ts';
import { FakeKernel } from '../support/fakeKernel.ts';
import { address, prefix } from '../support/leases.ts';
import { silentLog } from '../support/log.ts';
import { seeded } from '../support/seeded.ts';
import { SimCluster } from '../support/simCluster.ts';
import { SimMachine } from '../support/simMachine.ts';
import { SimSession } from '../support/simSession.ts';

const MANY = 5000;

function world() {
  const clock = new ManualClock();
  const kernel = new FakeKernel();
  const device = kernel.addLink('eth0');
  kernel.addAddress(device, '172.16.0.1/16');
  const told: (Condition | undefined)[] = [];
  const health = new Health((condition) => void told.push(condition));
  const random = seeded(1);
  const stop = new AbortController();
  const links = (): void => side.setLinks(kernel.links());
  const side: RouteSide = new RouteSide(
    {
      clock,
      random,
      log: silentLog,
      etcd: new SimSession(new SimCluster(clock), clock, random),
      driver: kernel.driver(),
      host: new SimMachine('host', kernel, clock),
      newLeaseId: () => '1',
    },
    {
      protocol: 104,
      table: undefined,
      metrics: '0',
      sources: [],
      neighbours: 'off',
      sweepHoldMs: 600_000,
      signal: stop.signal,
      onHint: links,
      onHold: () => {},
    },
    health,
    { device, name: 'eth0' },
  );
  links();
  side.setNetwork([prefix('10.0.0.0/8')]);
  const run = async (ms: number): Promise<void> => {
    for (const end = clock.now() + ms; clock.now() < end; clock.advance(10))
      await new Promise((resolve) => setImmediate(resolve));
  };
  return { clock, kernel, device, told, side, run, stop };
}

describe('thousands of peers', () => {
  test('whose link goes down, and comes back, are told of a few times, the last time as it is', async () => {
    const { clock, kernel, device, told, side, run, stop } = world();
    const wishes = Array.from({ length: MANY }, (_, index) => ({
      prefix: prefix(`10.${index >> 8}.${index & 255}.0/24`),
      gateway: address(`172.16.${1 + (index >> 8)}.${index & 255}`),
    }));
    side.want(wishes, true, false);
    await run(2000);
    assert.deepEqual(side.summary(), { installed: MANY });
    told.length = 0;
    kernel.setLink(device, { up: false });
    await run(5000);
    const down = told.map((condition) => condition?.sentence);
    assert.match(down.at(-1) ?? '', /^peers without a route: 5000 link-down \(10\.0\.0\.0\/24, /);
    assert.ok(down.length <= 10, `${down.length} tellings of a link that went down`);
    kernel.setLink(device, { up: true });
    await run(40_000);
    assert.deepEqual(side.summary(), { installed: MANY });
    assert.ok(told.length - down.length <= 10, `${told.length - down.length} of one that came up`);
    assert.equal(told.at(-1), undefined, 'the condition is over');
    stop.abort();
    assert.equal(clock.pending, 0);
  });
});
