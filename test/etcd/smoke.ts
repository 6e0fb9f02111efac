/**
 * Run by exit.test.ts and tls.test.ts on each runtime: each verb once against the etcd of the first argument, with the
 * certificate files of the third (JSON), then close, and no exit().
 */
import { systemClock } from '../../src/core/index.ts';
import { openEtcd } from '../../src/etcd/index.ts';
import { silentLog } from '../support/log.ts';

const [endpoint = '', name = '', files = '{}'] = process.argv.slice(2);
const options = { endpoints: [endpoint], ...(JSON.parse(files) as object) };
const etcd = openEtcd(options, systemClock, Math.random, silentLog);
const key = `/smoke/${name}`;
const lease = String(Date.now());

async function everyVerb(): Promise<void> {
  const watching = Promise.withResolvers<void>();
  const seen = Promise.withResolvers<void>();
  // Its signal never aborts: closing the session must end the watch too.
  etcd.watch(
    key,
    (item) => {
      if (item.type === 'freshness') watching.resolve();
      const shown = item.type === 'changes' && item.events.some((event) => event.type === 'delete');
      if (shown) seen.resolve();
    },
    new AbortController().signal,
  );
  await etcd.list(key);
  await etcd.grant(lease, 60);
  await etcd.keepAlive(lease);
  const made = await etcd.transact({
    compare: [{ key, is: 'absent' }],
    writes: [{ type: 'put', key, value: 'v', lease }],
  });
  if (!made.succeeded) throw new Error('the key was there');
  if ((await etcd.get(key))?.lease !== lease) throw new Error('the key is not there');
  await watching.promise;
  await etcd.revoke(lease);
  await seen.promise;
}

try {
  await everyVerb();
  console.log('done');
} catch (error) {
  console.log(error instanceof Error ? error.message : error);
}
await etcd.close();
