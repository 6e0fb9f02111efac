/** Our client and etcd3's raw clients on one real etcd: what either writes the other reads, and both see the same events. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Etcd3, IKeyValue, IWatchResponse } from 'etcd3';
import type { Etcd, KeyValue, WatchEvent } from '../../src/etcd/index.ts';
import { startEtcd, type TestEtcd } from '../support/etcd.ts';
import { needs } from '../support/needs.ts';
import { openReference } from '../support/reference.ts';
import { seeded } from '../support/seeded.ts';
import { until } from '../support/until.ts';

const put = (key: string, value: string, lease = '0') =>
  ({ type: 'put', key, value, lease }) as const;
const bytes = (text: string): Buffer => Buffer.from(text);
/** The end of the range of all keys under a prefix that ends in `/`. */
const endOf = (prefix: string): Buffer => bytes(`${prefix.slice(0, -1)}0`);

/** What etcd3 says of a key, in our words. */
const keyValueOf = (kv: IKeyValue): KeyValue => ({
  key: kv.key.toString(),
  value: kv.value.toString(),
  createRevision: Number(kv.create_revision),
  modRevision: Number(kv.mod_revision),
  lease: kv.lease,
});

describe('one etcd, asked by us and by etcd3', { skip: needs('etcd') ?? false }, () => {
  let server: TestEtcd;
  let ours: Etcd;
  let theirs: Etcd3;

  before(async () => {
    server = await startEtcd();
    ours = server.open();
    theirs = openReference(server.endpoint);
  });
  after(async () => {
    theirs.close();
    await server.stop();
  });

  const rangeOf = async (prefix: string): Promise<readonly KeyValue[]> => {
    const { kvs } = await theirs.kv.range({ key: bytes(prefix), range_end: endOf(prefix) });
    return kvs.map(keyValueOf);
  };

  test('what we write under a lease, by each condition, etcd3 reads', async () => {
    const [key, other] = ['/written/a ü\0b', '/written/other'];
    const lease = '9223372036854775807';
    assert.equal(await ours.grant(lease, 4_000), 4_000);
    const made = await ours.transact({
      compare: [{ key, is: 'absent' }],
      writes: [put(key, 'value ☃', lease), put(other, '')],
    });
    assert.ok(made.succeeded);
    const { header, kvs } = await theirs.kv.range({ key: bytes(key) });
    const { revision } = made;
    assert.equal(header.revision, String(revision));
    const created = { key, value: 'value ☃', createRevision: revision, modRevision: revision };
    assert.deepEqual(kvs.map(keyValueOf), [{ ...created, lease }]);
    const left = await theirs.leaseClient.leaseTimeToLive({ ID: lease, keys: true });
    assert.deepEqual([left.ID, left.grantedTTL, left.keys], [lease, '4000', [bytes(key)]]);

    const changed = await ours.transact({
      compare: [{ key, is: 'modRevision', revision }],
      writes: [put(key, 'two', lease)],
    });
    assert.ok(changed.succeeded);
    const modRevision = changed.revision;
    const second = { ...created, value: 'two', modRevision, lease };
    const beside = { ...created, key: other, value: '', lease: '0' };
    assert.deepEqual(await rangeOf('/written/'), [second, beside]);

    const refused = await ours.transact({
      compare: [{ key, is: 'absent' }],
      writes: [{ type: 'delete', key: other }],
    });
    assert.deepEqual(refused, {
      succeeded: false,
      revision: modRevision,
      current: [second],
    });
    assert.deepEqual(await rangeOf('/written/'), [second, beside]);

    const done = await ours.transact({
      compare: [{ key, is: 'lease', lease }],
      writes: [{ type: 'delete', key: other }],
    });
    assert.ok(done.succeeded);
    assert.deepEqual(await rangeOf('/written/'), [second]);
    await ours.revoke(lease);
    assert.deepEqual(await rangeOf('/written/'), []);
    const gone = await theirs.leaseClient.leaseTimeToLive({ ID: lease });
    assert.equal(gone.TTL, '-1');
  });

  test('what etcd3 writes we read: values and keys that are no text, leases of any id', async () => {
    // etcd takes a negative id too: we read it without a sign, and ask for it by the same 64 bits.
    const ids = ['1', '9007199254740993', '-5'];
    for (const ID of ids) await theirs.leaseClient.leaseGrant({ TTL: '600', ID });
    const words = [bytes(''), bytes('text ☃'), Buffer.of(0xff, 0xfe, 0), bytes('x'.repeat(70_000))];
    for (const [index, word] of words.entries()) {
      const key = Buffer.concat([bytes('/read/'), word.subarray(0, 300)]);
      await theirs.kv.put({ key, value: word, lease: ids[index] ?? '0' });
    }
    const listed = (await ours.list('/read/')).entries;
    const unsigned = (lease: string): string => String(BigInt.asUintN(64, BigInt(lease)));
    const theirList = await rangeOf('/read/');
    assert.deepEqual(
      listed,
      theirList.map((one) => ({ ...one, lease: unsigned(one.lease) })),
    );
    assert.equal(listed.length, words.length);
    assert.deepEqual(await ours.get('/read/'), listed[0]);

    const negative = listed.find(({ lease }) => lease === unsigned('-5'));
    assert.ok(negative !== undefined);
    assert.equal(await ours.keepAlive(negative.lease), 600);
    await ours.revoke(negative.lease);
    const { TTL } = await theirs.leaseClient.leaseTimeToLive({ ID: '-5' });
    assert.equal(TTL, '-1');
    assert.equal((await ours.list('/read/')).entries.length, words.length - 1);
  });

  test('a watch of ours and one of etcd3 tell the same events of what both write', async () => {
    const prefix = '/watched/';
    const ourEvents: WatchEvent[] = [];
    const ending = new AbortController();
    const begun = Promise.withResolvers<number>();
    ours.watch(
      prefix,
      (item) => {
        if (item.type === 'snapshot') begun.resolve(item.revision);
        if (item.type === 'changes') ourEvents.push(...item.events);
      },
      ending.signal,
    );
    const start_revision = String((await begun.promise) + 1);
    const theirEvents: WatchEvent[] = [];
    const stream = await theirs.watchClient.watch();
    stream.on('data', ({ events }: IWatchResponse) => {
      for (const { type, kv } of events) {
        const entry = keyValueOf(kv);
        const { key, modRevision } = entry;
        theirEvents.push(
          type === 'Put' ? { type: 'put', entry } : { type: 'delete', key, modRevision },
        );
      }
    });
    const create_request = { key: bytes(prefix), range_end: endOf(prefix), start_revision };
    stream.write({ create_request });

    await writeAnything(prefix);
    const last = `${prefix}last`;
    await ours.transact({ compare: [], writes: [put(last, '')] });
    const keyOf = (event: WatchEvent | undefined) =>
      event?.type === 'put' ? event.entry.key : event?.key;
    await until(
      'both have the last event',
      () => keyOf(ourEvents.at(-1)) === last && keyOf(theirEvents.at(-1)) === last,
    );
    assert.deepEqual(ourEvents, theirEvents);
    const deletes = ourEvents.filter(({ type }) => type === 'delete').length;
    assert.ok(deletes > 20 && ourEvents.length - deletes > 100, 'there was something to compare');
    ending.abort();
    stream.on('error', () => undefined); // That it was cancelled.
    stream.cancel();
  });

  /** 200 steps of both clients in turn: puts, deletes, several keys in one revision, leases that end with their keys. */
  async function writeAnything(prefix: string): Promise<void> {
    const random = seeded(7);
    const below = (count: number): number => Math.floor(random() * count);
    const key = (): string => `${prefix}${below(40)}`;
    for (let step = 0; step < 200; step += 1) {
      const value = `v${step}`;
      const kind = below(10);
      if (kind < 3) await theirs.kv.put({ key: bytes(key()), value: bytes(value) });
      else if (kind < 5) await theirs.kv.deleteRange({ key: bytes(key()) });
      else if (kind < 9) {
        const keys = [...new Set([key(), key(), key()])];
        const writes = keys.map((one) =>
          below(4) === 0 ? ({ type: 'delete', key: one } as const) : put(one, value),
        );
        await ours.transact({ compare: [], writes });
      } else {
        const lease = String(1_000 + step);
        await ours.grant(lease, 600);
        await ours.transact({ compare: [], writes: [put(key(), value, lease)] });
        await theirs.kv.put({ key: bytes(key()), value: bytes(value), lease });
        await (below(2) === 0 ? ours.revoke(lease) : theirs.leaseClient.leaseRevoke({ ID: lease }));
      }
    }
  }
});
