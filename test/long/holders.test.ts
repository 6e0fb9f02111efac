/** 200 hosts start together where exactly 200 subnets are free. */
import { test } from 'node:test';
import { fillNetwork } from '../agent/fullNetwork.ts';
import { needs } from '../support/needs.ts';

test(
  '200 hosts that start together get the 200 subnets there are; one more waits for the first that is freed',
  {
    skip: needs('etcd') ?? false,
    timeout: 300_000,
  },
  () => fillNetwork(200),
);
