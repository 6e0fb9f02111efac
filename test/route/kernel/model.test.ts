/** The model on the real kernel, in short: what the fake kernel lets pass, the real one may not. */
import process from 'node:process';
import { needs } from '../../support/needs.ts';
import { inNetns } from '../../support/netns.ts';
import { RealKernel } from '../../support/realKernel.ts';
import { runWorlds } from '../reconciler/chaos.ts';

const { REAL_STEPS = '400' } = process.env;

inNetns(import.meta.url, needs('root', 'ip', 'unshare'), (test) =>
  test(`${REAL_STEPS} random steps on the real kernel: no foreign route is touched, and at rest it is as wanted`, async () =>
    runWorlds(Number(REAL_STEPS), () => new RealKernel())),
);
