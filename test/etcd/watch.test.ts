/** The watch core alone: one line of scenario, one line of what comes out. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Watch } from '../../src/etcd/watch.ts';
import { WATCH_TIMES, type WatchInput, type WatchOutput } from '../../src/etcd/watchTypes.ts';

const put = (modRevision: number, key = '/k') =>
  ({
    type: 'put',
    entry: { key, value: 'v', createRevision: modRevision, modRevision, lease: '0' },
  }) as const;
const at = (revision: number, clusterId = '7') => ({ revision, clusterId });

/** An output in short words: `snapshot 5`, `open#2 from 6`. */
function word(output: WatchOutput): string {
  switch (output.type) {
    case 'list':
      return `list#${output.attempt}`;
    case 'compare':
      return `compare#${output.attempt} from ${output.from}`;
    case 'open':
      return `open#${output.attempt} from ${output.from}`;
    case 'ask':
      return `ask#${output.attempt} ${output.what}`;
    case 'cancel':
      return `cancel#${output.attempt}${output.stalled ? ' stalled' : ''}`;
    case 'feed':
      return output.item.type === 'freshness'
        ? output.item.state
        : `${output.item.type} ${output.item.revision}`;
  }
}

const words = (outputs: readonly WatchOutput[]): string[] => outputs.map(word);

class Scene {
  readonly watch = new Watch(() => 0.5);
  now = 0;

  in(input: WatchInput): string[] {
    return words(this.watch.handle(input, this.now));
  }

  /** Jumps to the core's deadline. */
  wake(): string[] {
    assert.ok(this.watch.deadline !== undefined);
    this.now = Math.max(this.now, this.watch.deadline);
    return words(this.watch.handle({ type: 'timer' }, this.now));
  }

  /** A live watch at revision 5, stream #2. */
  static live(): Scene {
    const scene = new Scene();
    assert.deepEqual(scene.in({ type: 'start' }), ['list#1']);
    const entries = [put(3, '/old').entry];
    assert.deepEqual(scene.in({ type: 'listed', attempt: 1, header: at(5), entries }), [
      'snapshot 5',
      'open#2 from 6',
    ]);
    assert.deepEqual(scene.in({ type: 'opened', attempt: 2, header: at(5) }), ['live']);
    return scene;
  }
}

describe('the watch core', () => {
  test('resumes after the last delivered event, not after the header that came with it', () => {
    const scene = Scene.live();
    assert.deepEqual(
      scene.in({ type: 'events', attempt: 2, header: at(90), events: [put(7), put(9)] }),
      ['changes 9'],
    );
    assert.deepEqual(scene.in({ type: 'progress', attempt: 2, header: at(95) }), []);
    assert.deepEqual(scene.in({ type: 'failed', attempt: 2, reason: 'cut' }), ['stale']);
    assert.deepEqual(scene.wake(), ['open#3 from 10']);
    assert.deepEqual(scene.in({ type: 'opened', attempt: 3, header: at(95) }), ['live']);
  });

  test('goes on only where etcd knows its last change; a history that does not is listed and marked', () => {
    const scene = Scene.live();
    scene.in({ type: 'events', attempt: 2, header: at(7), events: [put(7)] });
    scene.in({ type: 'failed', attempt: 2, reason: 'cut' });
    scene.now = scene.watch.deadline ?? 0;
    const [open] = scene.watch.handle({ type: 'timer' }, scene.now);
    assert.ok(open?.type === 'open');
    assert.deepEqual(open.witness, { key: '/k', entry: put(7).entry, ...at(7), count: 2 });
    // Restored from a backup: the same id, and more writes since than were lost.
    assert.deepEqual(scene.in({ type: 'foreign', attempt: open.attempt }), [
      `cancel#${open.attempt}`,
    ]);
    assert.deepEqual(scene.wake(), ['list#4']);
    const listed = { type: 'listed', attempt: 4, header: at(40), entries: [] } as const;
    const [fed] = scene.watch.handle(listed, scene.now);
    assert.ok(fed?.type === 'feed' && fed.item.type === 'snapshot');
    assert.match(fed.item.otherHistory ?? '', /restored from a backup/);
    assert.deepEqual(scene.in({ type: 'opened', attempt: 5, header: at(40) }), ['live']);
  });

  test('asks for a witness behind a list too: etcd may be wiped before the watch is open', () => {
    const watch = new Watch(() => 0.5);
    watch.handle({ type: 'start' }, 0);
    const entries = [put(3, '/old').entry];
    const listed = { type: 'listed', attempt: 1, header: at(5), entries } as const;
    const [, open] = watch.handle(listed, 0);
    assert.ok(open?.type === 'open');
    assert.deepEqual(open.witness, {
      key: '/old',
      entry: put(3, '/old').entry,
      ...at(5),
      count: 1,
    });
    assert.deepEqual(words(watch.handle({ type: 'foreign', attempt: 2 }, 0)), [
      'cancel#2',
      'stale',
      'list#3',
    ]);
  });

  test('lists again after a cut where no key is left that could tell the history', () => {
    const scene = Scene.live();
    const events = [{ type: 'delete', key: '/old', modRevision: 6 }] as const;
    scene.in({ type: 'events', attempt: 2, header: at(6), events });
    scene.in({ type: 'failed', attempt: 2, reason: 'cut' });
    assert.deepEqual(scene.wake(), ['list#3']);
    const listed = { type: 'listed', attempt: 3, header: at(6), entries: [] } as const;
    assert.deepEqual(scene.in(listed), ['snapshot 6', 'open#4 from 7']);
    scene.in({ type: 'opened', attempt: 4, header: at(6) });
    scene.in({ type: 'failed', attempt: 4, reason: 'cut' });
    assert.deepEqual(scene.wake(), ['list#5']);
  });

  test('feeds several events of one revision, and refuses one that it has fed', () => {
    const scene = Scene.live();
    const events = [put(6, '/a'), put(6, '/b')];
    assert.deepEqual(scene.in({ type: 'events', attempt: 2, header: at(6), events }), [
      'changes 6',
    ]);
    assert.deepEqual(scene.in({ type: 'events', attempt: 2, header: at(6), events }), [
      'cancel#2',
      'stale',
      'list#3',
    ]);
  });

  for (const [name, input] of [
    ['a compacted history', { type: 'compacted', attempt: 2 }],
    ['another cluster', { type: 'progress', attempt: 2, header: at(9, '8') }],
    ['a revision that went back', { type: 'progress', attempt: 2, header: at(4) }],
    [
      'events out of order',
      { type: 'events', attempt: 2, header: at(9), events: [put(8), put(7)] },
    ],
  ] as const) {
    test(`${name} means: list again`, () => {
      assert.deepEqual(Scene.live().in(input), ['cancel#2', 'stale', 'list#3']);
    });
  }

  for (const [name, header] of [
    ['another cluster', at(1_000, '8')],
    ['an earlier revision', at(4)],
  ] as const) {
    test(`a list of ${name}, behind a compaction that hid the change of history, is fed as of another one`, () => {
      const scene = Scene.live();
      scene.in({ type: 'compacted', attempt: 2 });
      const entries = [put(2, '/b').entry];
      const [fed] = scene.watch.handle({ type: 'listed', attempt: 3, header, entries }, scene.now);
      assert.ok(fed?.type === 'feed' && fed.item.type === 'snapshot');
      assert.match(fed.item.otherHistory ?? '', /another etcd cluster|went back/);
    });
  }

  test('a list of the same cluster, behind a compaction, is fed as of the same history', () => {
    const scene = Scene.live();
    scene.in({ type: 'compacted', attempt: 2 });
    const listed = { type: 'listed', attempt: 3, header: at(9), entries: [] } as const;
    const [fed] = scene.watch.handle(listed, scene.now);
    assert.ok(fed?.type === 'feed' && fed.item.type === 'snapshot');
    assert.equal(fed.item.otherHistory, undefined);
  });

  test('a resumed watch whose store is behind lists again, after a pause if that was so just before', () => {
    const scene = Scene.live();
    scene.in({ type: 'failed', attempt: 2, reason: 'cut' });
    scene.wake();
    assert.deepEqual(scene.in({ type: 'opened', attempt: 3, header: at(3) }), ['cancel#3']);
    const pause = (scene.watch.deadline ?? 0) - scene.now;
    assert.ok(pause > 0 && pause <= WATCH_TIMES.backoff.maxMs);
    assert.deepEqual(scene.wake(), ['list#4']);
  });

  test('an answer without a cluster id proves nothing about the cluster', () => {
    const scene = Scene.live();
    assert.deepEqual(scene.in({ type: 'progress', attempt: 2, header: at(9, '0') }), []);
  });

  test('late answers to older requests are dropped', () => {
    const scene = Scene.live();
    scene.in({ type: 'failed', attempt: 2, reason: 'cut' });
    scene.wake();
    for (const late of [
      { type: 'listed', attempt: 1, header: at(1), entries: [] },
      { type: 'events', attempt: 2, header: at(9), events: [put(6)] },
      { type: 'compacted', attempt: 2 },
      { type: 'failed', attempt: 2, reason: 'late' },
      { type: 'probed', attempt: 1, header: at(1) },
      { type: 'start' },
    ] as const) {
      assert.deepEqual(scene.in(late), [], late.type);
    }
  });

  test('a timer before the deadline does nothing', () => {
    const scene = Scene.live();
    assert.deepEqual(scene.in({ type: 'progress', attempt: 2, header: at(5) }), []);
    assert.deepEqual(words(scene.watch.handle({ type: 'timer' }, scene.now)), []);
  });

  test('when nothing was heard it probes; a missed probe is stale, an answered one live again', () => {
    const scene = Scene.live();
    assert.deepEqual(scene.wake(), ['ask#3 probe']);
    assert.equal(scene.now, WATCH_TIMES.quietMs);
    assert.deepEqual(scene.in({ type: 'failed', attempt: 3, reason: 'timeout' }), ['stale']);
    assert.deepEqual(scene.wake(), ['ask#4 probe']);
    assert.deepEqual(scene.in({ type: 'probed', attempt: 4, header: at(5) }), ['live']);
    assert.deepEqual(scene.wake(), ['ask#5 probe']);
    assert.deepEqual(scene.wake(), ['stale'], 'no answer at all is a missed one too');
    assert.deepEqual(scene.in({ type: 'events', attempt: 2, header: at(6), events: [put(6)] }), [
      'changes 6',
      'live',
    ]);
  });

  test('a probe that shows a newer store asks the stream for a sign of life, and takes it', () => {
    const scene = Scene.live();
    scene.wake();
    assert.deepEqual(scene.in({ type: 'probed', attempt: 3, header: at(8) }), ['ask#2 progress']);
    assert.deepEqual(scene.in({ type: 'progress', attempt: 2, header: at(8) }), []);
    assert.deepEqual(scene.wake(), ['ask#4 probe']);
  });

  test('a stale view stays so where a probe shows a newer store, until the stream tells what it has missed', () => {
    const scene = Scene.live();
    scene.wake();
    scene.in({ type: 'failed', attempt: 3, reason: 'timeout' });
    scene.wake();
    assert.deepEqual(scene.in({ type: 'probed', attempt: 4, header: at(8) }), ['ask#2 progress']);
    const told = scene.in({ type: 'events', attempt: 2, header: at(8), events: [put(8)] });
    assert.deepEqual(told, ['changes 8', 'live']);
  });

  test('a stream that owes a sign of life is reopened where it stood, and asked more patiently each time', () => {
    const scene = Scene.live();
    const waits: number[] = [];
    let stream = 2;
    for (let round = 0; round < 12; round += 1) {
      let said = scene.wake();
      while (!said.some((word) => word.startsWith('open'))) {
        const probe = /^ask#(\d+) probe/.exec(said[0] ?? '')?.[1];
        assert.ok(probe, said.join());
        const due = scene.in({ type: 'probed', attempt: Number(probe), header: at(50) });
        if (due.length > 0 && waits.length === round) waits.push(scene.now);
        said = scene.wake();
      }
      const opened = /^open#(\d+) from 6$/.exec(said.at(-1) ?? '')?.[1];
      assert.deepEqual(said, [`cancel#${stream} stalled`, `open#${opened} from 6`]);
      waits[round] = scene.now - (waits[round] ?? 0);
      stream = Number(opened);
      assert.deepEqual(scene.in({ type: 'opened', attempt: stream, header: at(50) }), []);
    }
    assert.deepEqual(waits.slice(0, 4), [2_000, 4_000, 8_000, 16_000]);
    assert.equal(waits.at(-1), WATCH_TIMES.owedMaxMs);
  });

  test('waits at most a second between tries, whatever fails', () => {
    const scene = new Scene();
    let said = scene.in({ type: 'start' });
    for (let i = 0; i < 40; i += 1) {
      assert.match(said[0] ?? '', /^list#/);
      const attempt = Number(said[0]?.slice(5));
      assert.deepEqual(
        scene.in({ type: 'failed', attempt, reason: 'down' }),
        i === 0 ? ['stale'] : [],
      );
      const before = scene.now;
      said = scene.wake();
      assert.ok(scene.now - before <= WATCH_TIMES.backoff.maxMs);
      assert.ok(scene.now - before >= WATCH_TIMES.backoff.firstMs / 2);
    }
  });

  test('an opening that is never answered is given up', () => {
    const scene = new Scene();
    scene.in({ type: 'start' });
    const entries = [put(3, '/old').entry];
    scene.in({ type: 'listed', attempt: 1, header: at(5), entries });
    assert.deepEqual(scene.wake(), ['cancel#2 stalled', 'stale']);
    assert.deepEqual(scene.wake(), ['open#3 from 6']);
  });
});
