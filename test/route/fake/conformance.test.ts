/** The fake kernel's driver keeps the drivers' contract and behaves as the kernel. */
import { test } from 'node:test';
import { routeDriverSuite } from '../conformance.ts';
import { fakeWorld } from '../world.ts';

routeDriverSuite((name, body) => void test(`fake: ${name}`, body), {
  open: fakeWorld,
  largeBatch: 10_000,
});
