import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { openNative } from '../../../src/route/native/index.ts';
import { ADDON_FILE } from '../../../src/route/native/loader.ts';
import { needs } from '../../support/needs.ts';
import { inNetns } from '../../support/netns.ts';
import { routeDriverSuite } from '../conformance.ts';
import { kernelWorld } from '../world.ts';

const skip =
  needs('root', 'ip', 'unshare') ?? (existsSync(ADDON_FILE) ? undefined : 'needs the addon');

const open = () =>
  kernelWorld(async () => {
    const opened = openNative();
    return opened.kind === 'loaded' ? opened.driver : assert.fail(opened.reason);
  });

inNetns(import.meta.url, skip, (test) => routeDriverSuite(test, { open, largeBatch: 4000 }));
