/** The model at length: 1,000,000 steps on the fake kernel, 10,000 on the real one in a namespace. */
import { test } from 'node:test';
import { runWorlds } from '../route/reconciler/chaos.ts';
import { FakeKernel } from '../support/fakeKernel.ts';
import { needs } from '../support/needs.ts';
import { inNetns } from '../support/netns.ts';
import { RealKernel } from '../support/realKernel.ts';

const { STEPS = '1000000', REAL_STEPS = '10000' } = process.env;

test(`${STEPS} random steps on the fake kernel`, { timeout: 3_600_000 }, () =>
  runWorlds(Number(STEPS), () => new FakeKernel({ run: 'step' })),
);

inNetns(import.meta.url, needs('root', 'ip', 'unshare'), (inside) =>
  inside(`${REAL_STEPS} random steps on the real kernel`, async () =>
    runWorlds(Number(REAL_STEPS), () => new RealKernel()),
  ),
);
