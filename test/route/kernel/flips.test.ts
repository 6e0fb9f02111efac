/** Changes on the real kernel under traffic: no packet is refused for want of a route. `npm run long -- flips` flips longer. */
import { needs } from '../../support/needs.ts';
import { inNetns } from '../../support/netns.ts';
import { flipCases } from './flips.ts';

inNetns(import.meta.url, needs('root', 'ip', 'unshare'), (test) =>
  flipCases(test, { native: 500, ip: 200 }),
);
