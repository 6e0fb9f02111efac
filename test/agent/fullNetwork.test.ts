import { test } from 'node:test';
import { needs } from '../support/needs.ts';
import { fillNetwork } from './fullNetwork.ts';

/** `npm run long -- holders` does it with 200. */
test(
  '30 hosts that start together get the 30 subnets there are; one more waits for the first that is freed',
  {
    skip: needs('etcd') ?? false,
  },
  () => fillNetwork(30),
);
