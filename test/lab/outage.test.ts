/** The short form of test/long/outage.test.ts. */
import { test } from 'node:test';
import { needs } from '../support/needs.ts';
import { OUTAGES, outage } from './outage.ts';

const tools = ['root', 'ip', 'unshare', 'setpriv', 'nsenter', 'nft', 'etcd', 'etcdctl'];
const options = { skip: needs(...tools) ?? false, timeout: 180_000 };

for (const which of OUTAGES)
  test(
    `${which.name} for longer than the leases live: no route touched, every host its old subnet, no duplicate`,
    options,
    () => outage(which, 1.5),
  );
