/** 10,000 flips of a gateway under traffic, with each driver. */
import { flipCases } from '../route/kernel/flips.ts';
import { needs } from '../support/needs.ts';
import { inNetns } from '../support/netns.ts';

inNetns(import.meta.url, needs('root', 'ip', 'unshare'), (test) =>
  flipCases(test, { native: 10_000, ip: 10_000 }),
);
