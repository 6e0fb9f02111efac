/** The law of the watch core: whatever happens between, what is fed is the history, whole and in order. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { KeyValue, WatchEvent } from '../../src/etcd/types.ts';
import { Watch } from '../../src/etcd/watch.ts';
import type { Header, WatchInput, WatchOutput } from '../../src/etcd/watchTypes.ts';
import { Mirror } from './mirror.ts';

/** What can happen in the world around the core. `pick` chooses among what is there. */
type Step =
  | { readonly do: 'write'; readonly key: number; readonly delete: boolean; readonly keys: number }
  | { readonly do: 'writeBeside' | 'compact' | 'cut' | 'wipe' | 'wake' }
  | { readonly do: 'answer' | 'fail' | 'stream' | 'silence'; readonly pick: number };

interface FakeStream {
  readonly attempt: number;
  /** What is on its way, in order. */
  readonly queue: WatchInput[];
  broken: boolean;
}

/** A store with its whole history, the requests under way, and a core in the middle. */
class World {
  readonly watch = new Watch(() => 0.5);
  readonly mirror = new Mirror();
  now = 0;
  #epoch = 1;
  #revision = 1;
  #compacted = 0;
  #store = new Map<string, KeyValue>();
  #history: WatchEvent[] = [];
  readonly #epochOf = new WeakMap<WatchEvent, number>();
  readonly #epochOfList = new Map<number, number>();
  readonly #histories = new Map<number, WatchEvent[]>();
  #mirrorEpoch = 0;
  #lists = 0;
  readonly #unary: WatchInput[] = [];
  readonly #streams: FakeStream[] = [];

  constructor() {
    this.#histories.set(1, this.#history);
    this.give({ type: 'start' });
  }

  get header(): Header {
    return { revision: this.#revision, clusterId: String(this.#epoch) };
  }

  get lines(): string[] {
    return [...this.#store.values()].map((kv) => `${kv.key}=${kv.value}@${kv.modRevision}`);
  }

  give(input: WatchInput | { readonly type: 'timer' }): void {
    if (input.type === 'listed') this.#mirrorEpochNext = this.#epochOfList.get(input.attempt) ?? 0;
    for (const output of this.watch.handle(input, this.now)) this.#perform(output);
  }
  #mirrorEpochNext = 0;

  #perform(output: WatchOutput): void {
    switch (output.type) {
      case 'list':
        this.#epochOfList.set(output.attempt, this.#epoch);
        this.#unary.push({
          type: 'listed',
          attempt: output.attempt,
          header: this.header,
          entries: [...this.#store.values()],
        });
        return;
      case 'open':
        this.#open(output.attempt, output.from);
        return;
      case 'ask':
        if (output.what === 'probe') {
          this.#unary.push({ type: 'probed', attempt: output.attempt, header: this.header });
        } else {
          this.#streams
            .find((stream) => stream.attempt === output.attempt && !stream.broken)
            ?.queue.push({ type: 'progress', attempt: output.attempt, header: this.header });
        }
        return;
      case 'cancel':
        // Nothing: what is under way may still arrive, late.
        return;
      case 'feed':
        this.#fed(output.item);
        return;
    }
  }

  #open(attempt: number, from: number): void {
    const stream: FakeStream = { attempt, queue: [], broken: false };
    stream.queue.push({ type: 'opened', attempt, header: this.header });
    if (from <= this.#compacted) stream.queue.push({ type: 'compacted', attempt });
    else
      this.#send(
        stream,
        this.#history.filter((event) => revisionOf(event) >= from),
      );
    this.#streams.push(stream);
  }

  #send(stream: FakeStream, events: readonly WatchEvent[]): void {
    if (events.length === 0 || stream.broken) return;
    stream.queue.push({ type: 'events', attempt: stream.attempt, header: this.header, events });
  }

  /** Exactly the events of the history between the two revisions, all of the epoch of the last snapshot. */
  #fed(item: Extract<WatchOutput, { type: 'feed' }>['item']): void {
    if (item.type === 'snapshot') {
      this.#lists += 1;
      this.#mirrorEpoch = this.#mirrorEpochNext;
    }
    if (item.type === 'changes') {
      const all = this.#histories.get(this.#mirrorEpoch) ?? [];
      const due = all.filter(
        (event) => revisionOf(event) > this.mirror.revision && revisionOf(event) <= item.revision,
      );
      assert.deepEqual(item.events, due);
      for (const event of item.events) assert.equal(this.#epochOf.get(event), this.#mirrorEpoch);
    }
    this.mirror.take(item);
  }

  step(step: Step): void {
    this.now += 1;
    switch (step.do) {
      case 'write':
        this.#write(step.key, step.keys, step.delete);
        return;
      case 'writeBeside':
        this.#revision += 1;
        return;
      case 'compact':
        this.#compacted = this.#revision;
        return;
      case 'cut':
        this.#cut();
        return;
      case 'wipe':
        this.#wipe();
        return;
      case 'wake':
        this.now = Math.max(this.now, this.watch.deadline ?? this.now);
        this.give({ type: 'timer' });
        return;
      case 'answer':
        this.#answer(step.pick, false);
        return;
      case 'fail':
        this.#answer(step.pick, true);
        return;
      case 'stream':
        this.#deliver(step.pick);
        return;
      case 'silence': {
        // The stream is dead and nobody says so.
        const stream = this.#streams[step.pick % Math.max(1, this.#streams.length)];
        if (stream) stream.broken = true;
      }
    }
  }

  #write(first: number, count: number, isDelete: boolean): void {
    this.#revision += 1;
    const modRevision = this.#revision;
    const events: WatchEvent[] = [];
    for (let i = 0; i < count; i += 1) {
      const key = `/k${(first + i) % 6}`;
      if (isDelete) {
        if (this.#store.delete(key)) events.push({ type: 'delete', key, modRevision });
      } else {
        const entry = { key, value: `${this.#epoch}`, createRevision: 1, modRevision, lease: '0' };
        this.#store.set(key, entry);
        events.push({ type: 'put', entry });
      }
    }
    for (const event of events) this.#epochOf.set(event, this.#epoch);
    this.#history.push(...events);
    for (const stream of this.#streams) this.#send(stream, events);
  }

  #cut(): void {
    for (const stream of this.#streams) {
      if (stream.broken) continue;
      stream.broken = true;
      stream.queue.length = Math.floor(stream.queue.length / 2);
      stream.queue.push({ type: 'failed', attempt: stream.attempt, reason: 'cut' });
    }
  }

  #wipe(): void {
    this.#cut();
    this.#epoch += 1;
    this.#revision = 1;
    this.#compacted = 0;
    this.#store = new Map();
    this.#history = [];
    this.#histories.set(this.#epoch, this.#history);
  }

  #answer(pick: number, fails: boolean): void {
    const [input] = this.#unary.splice(pick % Math.max(1, this.#unary.length), 1);
    if (input === undefined || !('attempt' in input)) return;
    this.give(fails ? { type: 'failed', attempt: input.attempt, reason: 'no answer' } : input);
  }

  #deliver(pick: number): void {
    const stream = this.#streams[pick % Math.max(1, this.#streams.length)];
    const input = stream?.queue.shift();
    if (input !== undefined) this.give(input);
  }

  /** Everything works again: the view must become right, and say that it is live. */
  heal(): void {
    for (let round = 0; round < 60; round += 1) {
      for (let i = 0; i < 20; i += 1) this.#answer(0, false);
      for (let i = 0; i < this.#streams.length; i += 1) {
        for (let left = this.#streams[i]?.queue.length ?? 0; left > 0; left -= 1) this.#deliver(i);
      }
      this.step({ do: 'wake' });
    }
    for (let i = 0; i < 20; i += 1) this.#answer(0, false);
    assert.deepEqual(this.mirror.lines, this.lines.sort());
    assert.equal(this.mirror.state, 'live');
  }
}

function revisionOf(event: WatchEvent): number {
  return event.type === 'put' ? event.entry.modRevision : event.modRevision;
}

const nat = fc.nat(40);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('write' as const),
      key: nat,
      delete: fc.boolean(),
      keys: fc.integer({ min: 1, max: 3 }),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({ do: fc.constantFrom('answer', 'stream', 'stream'), pick: nat }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('fail', 'silence'), pick: nat }) },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constantFrom('wake', 'wake', 'cut', 'compact', 'writeBeside') }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('wipe' as const) }) },
);

describe('the law of the watch core', () => {
  test('under any interleaving of events, cuts, compactions, wipes and late answers it feeds exactly the history', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const world = new World();
        for (const one of steps) world.step(one);
        world.heal();
      }),
      { numRuns: 400 },
    );
  });
});
