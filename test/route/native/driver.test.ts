import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { run } from '../../../src/core/index.ts';
import {
  type Address,
  type Prefix,
  parseAddress,
  parsePrefix,
  prefixOf,
  v4,
} from '../../../src/ip/index.ts';
import { nativeNotify, openNative } from '../../../src/route/native/index.ts';
import { ADDON_FILE } from '../../../src/route/native/loader.ts';
import {
  type Hint,
  type Route,
  type RouteDriver,
  RouteDriverError,
} from '../../../src/route/types.ts';
import { needs } from '../../support/needs.ts';
import { inNetns } from '../../support/netns.ts';
import { until } from '../../support/until.ts';

const skip =
  needs('root', 'ip', 'unshare') ?? (existsSync(ADDON_FILE) ? undefined : 'needs the addon');
const FILTER = { table: 254, protocol: 77, within: [] };

const address = (text: string): Address => parseAddress(text) ?? assert.fail(text);
const prefix = (text: string): Prefix => parsePrefix(text) ?? assert.fail(text);
const ip = async (words: string): Promise<string> => {
  const { code, stdout, stderr } = await run('ip', words.split(' '));
  assert.equal(code, 0, `ip ${words}: ${stderr}`);
  return stdout;
};
const open = (): RouteDriver => {
  const opened = openNative();
  return opened.kind === 'loaded' ? opened.driver : assert.fail(opened.reason);
};
const descriptors = (): number => readdirSync('/proc/self/fd').length;

/** A driver and a link with 10.0.0.1/8 and fd00::1/64; both are gone afterwards. */
async function withDriver(body: (driver: RouteDriver, device: number) => Promise<void>) {
  await ip('link set lo up');
  await ip('link add v0 type veth peer name v1');
  await ip('addr add 10.0.0.1/8 dev v0');
  await ip('addr add fd00::1/64 dev v0 nodad');
  await ip('link set v0 up');
  await ip('link set v1 up');
  const device = Number((await ip('-o link show v0')).split(':')[0]);
  const driver = open();
  try {
    await body(driver, device);
  } finally {
    await driver.close();
    await ip('link del v0');
  }
}

const routeTo = (number: number, device: number): Route => ({
  prefix: prefixOf(v4(0xac10_0000 + number * 256), 24),
  gateway: v4(0x0a00_0100 + number),
  device,
  metric: number % 64,
  protocol: 77,
  table: 254,
});

inNetns(import.meta.url, skip, (test) => {
  test('what was added, a dump shows with every field', () =>
    withDriver(async (driver, device) => {
      const routes: Route[] = [
        {
          prefix: prefix('172.16.0.0/20'),
          gateway: address('10.255.255.254'),
          device,
          metric: 4294967295,
          protocol: 77,
          table: 4294967295,
          source: address('10.0.0.1'),
        },
        {
          prefix: prefix('fd01:203::/37'),
          gateway: address('fd00::ffff:1'),
          device,
          metric: 4000000000,
          protocol: 77,
          table: 4294967295,
          source: address('fd00::1'),
        },
      ];
      const result = await driver.apply(routes.map((route) => ({ kind: 'add', route })));
      assert.deepEqual(result, { kind: 'complete', failures: [] });
      const found = await driver.dump({ ...FILTER, table: 4294967295 });
      const kernels = { type: 1, tos: 0, linkDown: false, more: false };
      assert.deepEqual(
        found,
        routes.map((route) => ({ ...route, ...kernels })),
      );
    }));

  test('calls at the same time are done one after the other, in order', () =>
    withDriver(async (driver, device) => {
      const routes = Array.from({ length: 600 }, (_, number) => routeTo(number, device));
      const ops = (kind: 'add' | 'delete') => routes.map((route) => ({ kind, route }));
      const [added, full, deleted, empty, again] = await Promise.all([
        driver.apply(ops('add')),
        driver.dump(FILTER),
        driver.apply(ops('delete')),
        driver.dump(FILTER),
        driver.apply(ops('add')),
      ]);
      const done = { kind: 'complete', failures: [] };
      assert.deepEqual([added, deleted, again], [done, done, done]);
      assert.deepEqual([full.length, empty.length], [600, 0]);
    }));

  test('a failure has index, errno, name and a sentence', () =>
    withDriver(async (driver, device) => {
      const route = routeTo(1, device);
      const result = await driver.apply([
        { kind: 'add', route },
        { kind: 'add', route },
        { kind: 'add', route: { ...routeTo(2, device), gateway: address('192.0.2.1') } },
        { kind: 'delete', route: routeTo(3, device) },
        { kind: 'delete', route },
      ]);
      assert.deepEqual(result, {
        kind: 'complete',
        failures: [
          { index: 1, errno: 17, code: 'EEXIST', message: 'File exists' },
          { index: 2, errno: 101, code: 'ENETUNREACH', message: 'Nexthop has invalid gateway' },
          { index: 3, errno: 3, code: 'ESRCH', message: 'No such process' },
        ],
      });
    }));

  test('a batch that cannot be encoded is refused whole', () =>
    withDriver(async (driver, device) => {
      const good = routeTo(1, device);
      const bad = { ...routeTo(2, device), gateway: address('fd00::9') };
      const ops = [good, bad].map((route) => ({ kind: 'add', route }) as const);
      await assert.rejects(driver.apply(ops), RangeError);
      assert.deepEqual(await driver.dump(FILTER), []);
    }));

  test('hints come merged, and none after close', () =>
    withDriver(async (driver, device) => {
      const hints: Hint[] = [];
      await driver.listen(FILTER, (hint) => hints.push(hint));
      const routes = Array.from({ length: 2000 }, (_, number) => routeTo(number, device));
      const another = open();
      await another.apply(routes.map((route) => ({ kind: 'add', route })));
      await another.close();
      await until('a hint of routes', () => hints.some((hint) => hint.routes));
      assert.ok(hints.length < 200, `${hints.length} hints of 2000 changes`);
      await driver.close();
      const before = hints.length;
      await ip('link set v1 down');
      await ip('route flush proto 77');
      await new Promise((resolve) => setImmediate(resolve));
      assert.equal(hints.length, before);
    }));

  test('what the driver itself has changed is no news, unlike the same by another', () =>
    withDriver(async (driver, device) => {
      const hints: Hint[] = [];
      await driver.listen(FILTER, (hint) => hints.push(hint));
      const route = routeTo(1, device);
      await driver.apply([{ kind: 'add', route }]);
      await driver.apply([{ kind: 'delete', route }]);
      await ip('link set v1 mtu 1400');
      await until('a hint of links', () => hints.some((hint) => hint.links));
      // Events come in order: had our own been heard, their hint would be here.
      assert.ok(hints.every((hint) => !hint.routes));
    }));

  test('a closed driver refuses work in a sentence, and closing it again is harmless', async () => {
    const driver = open();
    await driver.close();
    await driver.close();
    const closed = new RouteDriverError('the native route driver is closed');
    await assert.rejects(driver.dump(FILTER), closed);
    await assert.rejects(driver.apply([]), closed);
    await assert.rejects(
      driver.listen(FILTER, () => {}),
      closed,
    );
  });

  test('work that was begun before close still ends', () =>
    withDriver(async (driver, device) => {
      const work = driver.apply([{ kind: 'add', route: routeTo(1, device) }]);
      await driver.close();
      assert.deepEqual(await work, { kind: 'complete', failures: [] });
    }));

  test('closed drivers leave no descriptors', async () => {
    const round = async (): Promise<void> => {
      const driver = open();
      await driver.listen(FILTER, () => {});
      await driver.dump(FILTER);
      await driver.close();
    };
    await round();
    const before = descriptors();
    for (let time = 0; time < 20; time += 1) await round();
    const grown = descriptors() - before;
    assert.ok(grown <= 2, `${grown} more descriptors`);
  });

  test('notifying does nothing without a socket, and names a socket that nobody reads', async () => {
    const notify = nativeNotify();
    assert.ok(notify);
    const before = process.env['NOTIFY_SOCKET'];
    try {
      delete process.env['NOTIFY_SOCKET'];
      notify('READY=1');
      process.env['NOTIFY_SOCKET'] = '@hostgw-nobody-reads-this';
      assert.throws(() => notify('READY=1'), /cannot notify @hostgw-nobody-reads-this/);
    } finally {
      if (before === undefined) delete process.env['NOTIFY_SOCKET'];
      else process.env['NOTIFY_SOCKET'] = before;
    }
  });
});
