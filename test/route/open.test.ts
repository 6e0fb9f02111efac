import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Log } from '../../src/core/index.ts';
import { type DriverOpeners, openRouteDriver, RouteDriverError } from '../../src/route/index.ts';
import { FakeKernel } from '../support/fakeKernel.ts';

type Native = ReturnType<DriverOpeners['native']>;

const native = { ...new FakeKernel().driver(), name: 'native' };
const ip = { ...new FakeKernel().driver(), name: 'ip' };
const loaded: Native = { kind: 'loaded', driver: native };
const absent: Native = { kind: 'absent', reason: 'native/hostgw.node is not there' };
const broken: Native = { kind: 'broken', reason: 'native/hostgw.node is cut short' };

/** Opens and returns the driver's name and what was logged. */
async function open(choice: 'auto' | 'native' | 'ip', opened: Native, withIp = true) {
  const said: string[] = [];
  const at = (level: string) => (sentence: string) => void said.push(`${level}: ${sentence}`);
  const log: Log = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
  const driver = await openRouteDriver(choice, log, {
    native: () => opened,
    ip: async () => {
      if (withIp) return ip;
      throw new RouteDriverError('cannot run ip: install iproute2');
    },
  });
  return { name: driver.name, said };
}

test('auto takes the addon where it works, and says so', async () => {
  assert.deepEqual(await open('auto', loaded), {
    name: 'native',
    said: ['info: route driver native: the addon is there and works'],
  });
});

test('auto falls back to ip where there is no addon: a fact, with its cure', async () => {
  assert.deepEqual(await open('auto', absent), {
    name: 'ip',
    said: [
      'info: route driver ip: there is no addon (native/hostgw.node is not there); npm run build:native builds it',
    ],
  });
});

test('auto warns where the addon is broken, and does not call it missing', async () => {
  assert.deepEqual(await open('auto', broken), {
    name: 'ip',
    said: [
      'warn: route driver ip: the addon is broken (native/hostgw.node is cut short); npm run build:native builds it',
    ],
  });
});

test('auto names both reasons and both cures where neither works', async () => {
  await assert.rejects(open('auto', broken, false), {
    name: 'RouteDriverError',
    message: /addon is broken \(native.*build:native.*install iproute2/,
  });
});

test('native rejects with reason and cure where the addon is absent or broken', async () => {
  for (const [opened, what] of [
    [absent, /there is no addon \(native.*not there.*build:native/],
    [broken, /the addon is broken \(native.*cut short.*build:native/],
  ] as const) {
    await assert.rejects(open('native', opened), { name: 'RouteDriverError', message: what });
  }
  assert.equal((await open('native', loaded)).name, 'native');
});

test('ip takes ip, whatever the addon is', async () => {
  for (const opened of [loaded, absent, broken]) {
    assert.deepEqual(await open('ip', opened), {
      name: 'ip',
      said: ['info: route driver ip: asked for'],
    });
  }
});
