/** A watch that begins with a saved view: proven by what etcd says, or listed anew; never believed without. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { proofOf } from '../../src/etcd/resume.ts';
import type { KeyValue, SavedView } from '../../src/etcd/types.ts';
import { Watch } from '../../src/etcd/watch.ts';
import { quietMs, type Since, WATCH_TIMES, type WatchOutput } from '../../src/etcd/watchTypes.ts';

const KEYS = ['/config', '/own', '/a', '/b', '/c', '/d'];
const WITNESSES = ['/config', '/own'];

/** A store with its whole history: what etcd says of it at any revision. */
class Store {
  revision = 1;
  readonly clusterId: string;
  #keys = new Map<string, KeyValue>();

  constructor(clusterId = '7') {
    this.clusterId = clusterId;
  }

  get entries(): KeyValue[] {
    return [...this.#keys.values()];
  }

  put(key: string, value: string): this {
    this.revision += 1;
    const createRevision = this.#keys.get(key)?.createRevision ?? this.revision;
    const entry = { key, value, createRevision, modRevision: this.revision, lease: '0' };
    this.#keys.set(key, entry);
    return this;
  }

  delete(key: string): this {
    this.revision += Number(this.#keys.delete(key));
    return this;
  }

  saved(): SavedView {
    const { clusterId, revision, entries } = this;
    return { clusterId, revision, entries, witnesses: WITNESSES };
  }

  since(saved: SavedView, limit = 100): Since {
    const changed = this.entries.filter(({ modRevision }) => modRevision > saved.revision);
    return {
      header: { revision: this.revision, clusterId: this.clusterId },
      changed: changed.slice(0, limit),
      more: changed.length > limit,
      count: this.#keys.size,
      witnesses: saved.witnesses.flatMap((key) => this.#keys.get(key) ?? []),
    };
  }
}

/** What is proven to be in etcd. */
function provenView(saved: SavedView, since: Since): readonly KeyValue[] | undefined {
  const proof = proofOf(saved, since);
  return proof.kind === 'whole' ? proof.entries : undefined;
}

const lines = (entries: readonly KeyValue[] | undefined): string[] | undefined =>
  entries?.map(({ key, value, modRevision }) => `${key}=${value}@${modRevision}`).sort();

const begun = (): Store =>
  new Store().put('/config', 'c').put('/own', 'o').put('/a', '1').put('/b', '1');

describe('a saved view', () => {
  test('is proven where keys were added and changed, and holds what etcd holds', () => {
    const store = begun();
    const saved = store.saved();
    store.put('/a', '2').put('/d', '1').put('/elsewhere', 'x').delete('/elsewhere');
    assert.deepEqual(lines(provenView(saved, store.since(saved))), lines(store.entries));
  });

  for (const [name, change] of [
    ['one key went', (store: Store) => store.delete('/a')],
    ['one key went and another came', (store: Store) => store.delete('/a').put('/d', '1')],
    ['our own key went', (store: Store) => store.delete('/own')],
    [
      'the config was deleted and made anew',
      (store: Store) => store.delete('/config').put('/config', 'c'),
    ],
  ] as const) {
    test(`is not proven where ${name}`, () => {
      const store = begun();
      const saved = store.saved();
      change(store);
      assert.deepEqual(proofOf(saved, store.since(saved)), { kind: 'unknown' });
    });
  }

  test('is not proven where a key is no UTF-8: two such keys have one text, and make up for one that went', () => {
    const [a, b] = ['/\u{fffd}', '/\u{fffd} of other bytes'];
    const store = begun();
    const saved = store.saved();
    const since = store.delete('/a').put(a, '1').put(b, '1').since(saved);
    const changed = since.changed.map((entry) => ({ ...entry, key: a }));
    assert.equal(proofOf(saved, { ...since, changed }).kind, 'unknown');
  });

  test('is not proven by another cluster, nor by a revision that went back, nor by a part of the changes', () => {
    const store = begun();
    const saved = store.saved();
    const other = new Store('8');
    for (const { key, value } of saved.entries) other.put(key, value);
    assert.equal(proofOf(saved, other.since(saved)).kind, 'foreign');
    assert.equal(proofOf({ ...saved, revision: 99 }, store.since(saved)).kind, 'foreign');
    store.put('/c', '1').put('/d', '1');
    assert.equal(proofOf(saved, store.since(saved, 1)).kind, 'unknown');
  });

  test('needs no cluster id where a grpc-proxy leaves it out', () => {
    const store = begun();
    const saved = store.saved();
    const { header, ...since } = store.since(saved);
    const nameless = { ...since, header: { ...header, clusterId: '0' } };
    assert.deepEqual(lines(provenView(saved, nameless)), lines(store.entries));
  });

  test('is not proven by a wiped etcd with the same id and a higher revision, though it has as many keys', () => {
    const saved = begun().saved();
    const wiped = new Store().put('/b', '1').put('/config', 'c').put('/own', 'o');
    for (let i = 0; i < 20; i += 1) wiped.put('/b', '1');
    wiped.put('/d', '1');
    assert.equal(wiped.entries.length, saved.entries.length);
    assert.equal(proofOf(saved, wiped.since(saved)).kind, 'foreign');
  });

  test('is not proven where a witness has its old revision but another value or etcd lease', () => {
    const store = begun();
    const saved = store.saved();
    const since = store.since(saved);
    for (const change of [{ value: 'x' }, { lease: '9' }]) {
      const witnesses = since.witnesses.map((entry) => ({ ...entry, ...change }));
      assert.equal(proofOf(saved, { ...since, witnesses }).kind, 'foreign');
    }
  });
});

type Write = { readonly key: number; readonly value: number; readonly delete: boolean };
const writes = fc.array(
  fc.record({ key: fc.nat(KEYS.length - 1), value: fc.nat(3), delete: fc.boolean() }),
  { maxLength: 30 },
);

function write(store: Store, all: readonly Write[]): void {
  for (const { key, value, delete: gone } of all)
    if (gone) store.delete(KEYS[key] ?? '');
    else store.put(KEYS[key] ?? '', String(value));
}

describe('the law of a saved view', () => {
  test('whatever was written before and since, it is proven only where it equals what etcd holds', () => {
    let proven = 0;
    fc.assert(
      fc.property(writes, writes, (before, since) => {
        const store = new Store();
        write(store, before);
        const saved = store.saved();
        write(store, since);
        const proof = proofOf(saved, store.since(saved));
        assert.notEqual(proof.kind, 'foreign', 'it is the same history');
        if (proof.kind !== 'whole') return;
        proven += 1;
        assert.deepEqual(lines(proof.entries), lines(store.entries));
      }),
      { numRuns: 1_000 },
    );
    assert.ok(proven > 0, 'some were proven');
  });

  test('where nothing was deleted since, it is always proven', () => {
    fc.assert(
      fc.property(writes, writes, (before, since) => {
        const store = new Store();
        write(store, before);
        const saved = store.saved();
        write(
          store,
          since.map((one) => ({ ...one, delete: false })),
        );
        assert.deepEqual(lines(provenView(saved, store.since(saved))), lines(store.entries));
      }),
    );
  });
});

describe('the watch core with a saved view', () => {
  const kinds = (outputs: readonly WatchOutput[]): string[] =>
    outputs.map((output) =>
      output.type === 'open' || output.type === 'compare'
        ? `${output.type}#${output.attempt} from ${output.from}`
        : output.type === 'feed'
          ? output.item.type
          : output.type,
    );

  /** A core that has asked what changed since `saved`. */
  function asking(saved: SavedView): { watch: Watch; now: number } {
    const watch = new Watch(() => 0.5);
    assert.deepEqual(watch.handle({ type: 'start', saved }, 0), []);
    const now = watch.deadline ?? Number.NaN;
    assert.deepEqual(kinds(watch.handle({ type: 'timer' }, now)), [
      `compare#1 from ${saved.revision + 1}`,
    ]);
    return { watch, now };
  }

  test('lists nothing where the view is proven, and watches on from the revision of the proof', () => {
    const store = begun();
    const saved = store.saved();
    store.put('/d', '1');
    const { watch, now } = asking(saved);
    const out = watch.handle({ type: 'since', attempt: 1, ...store.since(saved) }, now);
    assert.deepEqual(kinds(out), ['snapshot', `open#2 from ${store.revision + 1}`]);
    const [fed] = out;
    assert.ok(fed?.type === 'feed' && fed.item.type === 'snapshot');
    assert.deepEqual(lines(fed.item.entries), lines(store.entries));
  });

  test('lists where it is not, and never asks again', () => {
    const store = begun();
    const saved = store.saved();
    store.delete('/a');
    const { watch, now } = asking(saved);
    assert.deepEqual(
      kinds(watch.handle({ type: 'since', attempt: 1, ...store.since(saved) }, now)),
      ['list'],
    );
    watch.handle({ type: 'failed', attempt: 2, reason: 'down' }, now);
    assert.deepEqual(kinds(watch.handle({ type: 'timer' }, watch.deadline ?? 0)), ['list']);
  });

  test('lists another history as such: what it lacks was never deleted', () => {
    const saved = begun().saved();
    const other = new Store('8').put('/config', 'c');
    const { watch, now } = asking(saved);
    const out = watch.handle({ type: 'since', attempt: 1, ...other.since(saved) }, now);
    assert.deepEqual(kinds(out), ['freshness', 'list']);
    const { header } = other.since(saved);
    const [fed] = watch.handle({ type: 'listed', attempt: 2, header, entries: other.entries }, now);
    assert.ok(fed?.type === 'feed' && fed.item.type === 'snapshot');
    assert.match(fed.item.otherHistory ?? '', /another etcd cluster/);
  });

  test('lists another cluster as such also where it was the one from before that did not prove the view', () => {
    const store = begun();
    const saved = store.saved();
    store.delete('/a');
    const { watch, now } = asking(saved);
    watch.handle({ type: 'since', attempt: 1, ...store.since(saved) }, now);
    const { header, changed: entries } = new Store('8').put('/config', 'c').since(saved);
    const [fed] = watch.handle({ type: 'listed', attempt: 2, header, entries }, now);
    assert.ok(fed?.type === 'feed' && fed.item.type === 'snapshot');
    assert.match(fed.item.otherHistory ?? '', /another etcd cluster/);
  });

  test('asks again when no answer came: a fleet that waits for etcd must not list when it is back', () => {
    const { watch, now } = asking(begun().saved());
    assert.deepEqual(kinds(watch.handle({ type: 'failed', attempt: 1, reason: 'down' }, now)), [
      'freshness',
    ]);
    assert.deepEqual(kinds(watch.handle({ type: 'timer' }, watch.deadline ?? 0)), [
      'compare#2 from 6',
    ]);
    assert.deepEqual(kinds(watch.handle({ type: 'timer' }, watch.deadline ?? 0)), []);
    assert.deepEqual(kinds(watch.handle({ type: 'timer' }, watch.deadline ?? 0)), [
      'compare#3 from 6',
    ]);
  });

  test('spreads the first read of many hosts, the more the more keys there are', () => {
    const [one] = begun().entries;
    assert.ok(one !== undefined);
    const waits = [10, 1_000, 100_000].map((count) => {
      const watch = new Watch(() => 0.999);
      const entries = Array.from({ length: count }, () => one);
      watch.handle({ type: 'start', saved: { ...begun().saved(), entries } }, 0);
      return watch.deadline ?? Number.NaN;
    });
    assert.deepEqual(
      [...waits].sort((a, b) => a - b),
      waits,
    );
    assert.ok(
      waits.every((wait) => wait <= 300),
      waits.join(),
    );
  });
});

describe('probes', () => {
  test('notice trouble within 5 s up to 1,000 keys, and within 20 s however many there are', () => {
    const noticed = (keys: number): number => quietMs(WATCH_TIMES, keys) + WATCH_TIMES.probeMs;
    assert.deepEqual([0, 1_000].map(noticed), [5_000, 5_000]);
    assert.deepEqual([5_000, 16_000, 100_000].map(noticed), [13_000, 20_000, 20_000]);
  });
});
