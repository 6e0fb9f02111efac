/** The model on the fake kernel, in short; `npm run long -- model` runs a million steps, and 10,000 on the real kernel. */
import { test } from 'node:test';
import { FakeKernel } from '../../support/fakeKernel.ts';
import { runWorlds } from './chaos.ts';

const { STEPS = '20000' } = process.env;

test(
  `${STEPS} random steps: no foreign route is touched, and at rest the kernel is as wanted`,
  {
    timeout: 600_000,
  },
  () => runWorlds(Number(STEPS), () => new FakeKernel({ run: 'step' })),
);
