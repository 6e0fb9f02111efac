/** The native driver's neighbour entries in a real kernel, in a network namespace of its own. */
import assert from 'node:assert/strict';
import { openNative } from '../../../src/route/native/index.ts';
import { needs } from '../../support/needs.ts';
import { inNetns } from '../../support/netns.ts';
import { neighbourSuite, realNeighbourWorld } from './conformance.ts';

const open = async () => {
  const opened = openNative();
  return opened.kind === 'loaded' ? opened.driver : assert.fail(opened.reason);
};

inNetns(import.meta.url, needs('root', 'ip', 'unshare', 'native'), (test) =>
  neighbourSuite(
    (name, body) => test(`native: ${name}`, body),
    () => realNeighbourWorld(open),
  ),
);
