/** `npm run long -- outage`: etcd dead for ten times as long as the leases live; agents cut off from it for as long. */
import { test } from 'node:test';
import { OUTAGES, outage } from '../lab/outage.ts';
import { needs } from '../support/needs.ts';

const tools = ['root', 'ip', 'unshare', 'setpriv', 'nsenter', 'nft', 'etcd', 'etcdctl'];
const options = { skip: needs(...tools) ?? false, timeout: 600_000 };

for (const which of OUTAGES)
  test(
    `${which.name} for 10 x TTL: no route touched, every host its old subnet, no duplicate`,
    options,
    () => outage(which, 10),
  );
