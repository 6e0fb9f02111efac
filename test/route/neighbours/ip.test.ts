/** The ip driver's neighbour entries in a real kernel, in a network namespace of its own. */
import { openIpDriver } from '../../../src/route/ip/index.ts';
import { silentLog } from '../../support/log.ts';
import { needs } from '../../support/needs.ts';
import { inNetns } from '../../support/netns.ts';
import { neighbourSuite, realNeighbourWorld } from './conformance.ts';

inNetns(import.meta.url, needs('root', 'ip', 'unshare'), (test) =>
  neighbourSuite(
    (name, body) => test(`ip: ${name}`, body),
    () => realNeighbourWorld(() => openIpDriver({ log: silentLog })),
  ),
);
