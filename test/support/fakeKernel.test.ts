/** The fake kernel's own promises to tests; what it shares with real ones is in test/route/fake. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Hint } from '../../src/route/index.ts';
import { add, filter, prefix, remove, route } from '../route/samples.ts';
import { FakeKernel } from './fakeKernel.ts';

function scene(options: { run?: 'auto' | 'step' } = {}) {
  const kernel = new FakeKernel(options);
  const device = kernel.addLink('eth0');
  kernel.addAddress(device, '10.10.10.104/24');
  const r = (n: number) => route(device, `10.1.${n}.0/24`, '10.10.10.9');
  return { kernel, device, driver: kernel.driver(), r };
}

const failuresOf = (result: { kind: string; failures?: readonly { index: number }[] }) =>
  result.failures?.map((failure) => failure.index);

test('an armed operation fails once, with its errno and sentence, and is not done', async () => {
  const { kernel, driver, r } = scene();
  kernel.failures.next({ kind: 'op', nth: 3, errno: 12, message: 'armed' });
  assert.deepEqual(await driver.apply([add(r(1)), add(r(2))]), { kind: 'complete', failures: [] });
  const failure = { index: 0, errno: 12, code: 'ENOMEM', message: 'armed' };
  assert.deepEqual(await driver.apply([add(r(3)), add(r(4))]), {
    kind: 'complete',
    failures: [failure],
  });
  assert.deepEqual(await driver.apply([add(r(3))]), { kind: 'complete', failures: [] });
  kernel.failures.assertConsumed();
  assert.deepEqual(
    kernel.journal.map((entry) => entry.result),
    ['done', 'done', 'ENOMEM', 'done', 'done'],
  );
});

test('a batch can end unknown before, half-way and after it was done', async () => {
  for (const [when, done] of [
    ['before', 0],
    ['half', 1],
    ['after', 2],
  ] as const) {
    const { kernel, driver, r } = scene();
    kernel.failures.next({ kind: 'unknown', when });
    assert.equal((await driver.apply([add(r(1)), add(r(2))])).kind, 'unknown');
    assert.equal((await driver.dump(filter())).length, done);
    kernel.failures.assertConsumed();
  }
});

test('dump, apply and listen can each be made to reject once', async () => {
  const { kernel, driver, r } = scene();
  kernel.failures.next({ kind: 'dump' });
  kernel.failures.next({ kind: 'apply' });
  kernel.failures.next({ kind: 'listen' });
  const rejected = { name: 'RouteDriverError', message: /armed/ };
  await assert.rejects(driver.dump(filter()), rejected);
  await assert.rejects(driver.apply([add(r(1))]), rejected);
  await assert.rejects(
    driver.listen(filter(), () => {}),
    rejected,
  );
  assert.deepEqual(await driver.dump(filter()), []);
  kernel.failures.assertConsumed();
});

test('a failure that never struck is told', () => {
  const { kernel } = scene();
  kernel.failures.next({ kind: 'op', nth: 5, errno: 1 });
  assert.throws(() => kernel.failures.assertConsumed(), /never struck.*"nth":5/);
});

test('stepped calls wait, in order, until the test lets each go', async () => {
  const { kernel, driver, r } = scene({ run: 'step' });
  const applied = driver.apply([add(r(1))]);
  const dumped = driver.dump(filter());
  assert.deepEqual(kernel.pending, ['apply', 'dump']);
  assert.deepEqual(kernel.journal, []);
  assert.equal(kernel.step(), 'apply');
  assert.equal(failuresOf(await applied)?.length, 0);
  assert.equal(kernel.step(), 'dump');
  assert.equal((await dumped).length, 1);
  assert.equal(kernel.step(), undefined);
});

test('a stale dump shows what was there when it was asked for', async () => {
  const { kernel, driver, r } = scene({ run: 'step' });
  kernel.failures.next({ kind: 'stale-dump' });
  const stale = driver.dump(filter());
  kernel.applyNow([add(r(1))]);
  kernel.step();
  assert.deepEqual(await stale, []);
  const fresh = driver.dump(filter());
  kernel.step();
  assert.equal((await fresh).length, 1);
  kernel.failures.assertConsumed();
});

test('hints merge until they are delivered', async () => {
  const { kernel, device, driver, r } = scene({ run: 'step' });
  const hints: Hint[] = [];
  const listening = driver.listen(filter(), (hint) => hints.push(hint));
  kernel.step();
  await listening;
  kernel.setLink(device, { carrier: false });
  kernel.applyNow([add(r(1)), remove(r(1))]);
  assert.deepEqual(kernel.pending, ['hint']);
  kernel.step();
  assert.deepEqual(hints, [{ links: true, addresses: false, routes: true }]);
});

test('the journal tells what each delete took', () => {
  const { kernel, r } = scene();
  kernel.applyNow([add(r(1)), remove(r(1)), remove(r(1))]);
  assert.deepEqual(
    kernel.journal.map(({ kind, route: { prefix: p }, result }) => `${kind} ${p.text} ${result}`),
    ['add 10.1.1.0/24 done', 'delete 10.1.1.0/24 done', 'delete 10.1.1.0/24 ESRCH'],
  );
});

test('it prints itself as ip route does', () => {
  const { kernel, device, r } = scene();
  kernel.applyNow([add({ ...r(1), metric: 5 })]);
  kernel.foreignAdd({ prefix: prefix('10.9.0.0/16'), type: 6, protocol: 42 });
  kernel.setLink(device, { name: 'uplink' });
  assert.deepEqual(String(kernel).split('\n'), [
    '10.10.10.0/24 dev uplink proto 2 src 10.10.10.104',
    '10.1.1.0/24 via 10.10.10.9 dev uplink proto 77 metric 5',
    '10.9.0.0/16 proto 42 type 6',
  ]);
});

test('foreign hands delete by any fields, whoever owns the route', () => {
  const { kernel, r } = scene();
  kernel.applyNow([add(r(1)), add(r(2)), add({ ...r(1), metric: 9 })]);
  assert.equal(kernel.foreignDelete({ prefix: prefix('10.1.1.0/24'), metric: 9 }).length, 1);
  assert.equal(kernel.foreignDelete({ prefix: prefix('10.1.1.0/24') }).length, 1);
  assert.deepEqual(kernel.foreignDelete({ prefix: prefix('10.1.1.0/24') }), []);
});

test('a link that was deleted and made anew has a new index and no routes', () => {
  const { kernel, device, r } = scene();
  kernel.applyNow([add(r(1))]);
  kernel.removeLink(device);
  assert.deepEqual(kernel.routes(), []);
  assert.notEqual(kernel.addLink('eth0'), device);
});
