/**
 * One suite for every route driver: what `RouteDriver` promises, and what the kernel does (Linux 6.18), so that the
 * fake kernel, which the reconciler's tests trust, is held to the real one.
 */

import type { Case } from '../support/netns.ts';
import { conformApply } from './conformApply.ts';
import { conformDump } from './conformDump.ts';
import { conformKernel } from './conformKernel.ts';
import { conformListen } from './conformListen.ts';
import type { World } from './world.ts';

export interface SuiteOptions {
  /** Opens a fresh world; each case closes its own. */
  readonly open: () => Promise<World>;
  /** How many operations the large batch has. */
  readonly largeBatch: number;
}

/** Defines every case by `test`: node:test's own, or that of `inNetns`. */
export function routeDriverSuite(test: Case, options: SuiteOptions): void {
  const inWorld: WorldCase = (name, body) =>
    test(name, async () => {
      const world = await options.open();
      try {
        await body(world);
      } finally {
        await world.close();
      }
    });
  conformApply(inWorld, options.largeBatch);
  conformDump(inWorld);
  conformListen(inWorld);
  conformKernel(inWorld);
}

export type WorldCase = (name: string, body: (world: World) => Promise<void>) => void;
