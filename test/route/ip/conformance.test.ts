/** The ip driver against the real kernel, in a network namespace of its own. */
import { openIpDriver } from '../../../src/route/ip/index.ts';
import { silentLog } from '../../support/log.ts';
import { needs } from '../../support/needs.ts';
import { inNetns } from '../../support/netns.ts';
import { routeDriverSuite } from '../conformance.ts';
import { kernelWorld } from '../world.ts';

inNetns(import.meta.url, needs('root', 'ip', 'unshare'), (test) => {
  routeDriverSuite((name, body) => test(`ip: ${name}`, body), {
    open: () => kernelWorld(() => openIpDriver({ log: silentLog })),
    largeBatch: 1_000,
  });
});
