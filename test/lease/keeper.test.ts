import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Keeper, type KeeperInput, type KeeperOutput } from '../../src/lease/index.ts';

class Bench {
  now = 0;
  readonly keeper: Keeper;
  #attempt = 0;

  constructor(ttlSeconds = 30, renewMarginMs = 0) {
    const retry = { firstMs: 100, maxMs: 1000 };
    this.keeper = new Keeper({ ttlSeconds, renewMarginMs, retry, random: () => 0.999 });
  }

  /** Hands in an input and prints what comes out. */
  give(input: KeeperInput | { type: 'timer' }): string[] {
    return this.keeper.handle(input, this.now).map((output) => this.#print(output));
  }

  want(id = '5'): string[] {
    return this.give({ type: 'want', id });
  }

  granted(ttl = 30, attempt = this.#attempt): string[] {
    return this.give({ type: 'granted', attempt, ttl });
  }

  kept(ttl: number, attempt = this.#attempt): string[] {
    return this.give({ type: 'keptAlive', attempt, ttl });
  }

  fail(attempt = this.#attempt): string[] {
    return this.give({ type: 'failed', attempt, reason: 'no answer' });
  }

  /** Moves to the deadline. */
  wake(): string[] {
    this.now = this.keeper.deadline ?? assert.fail('no deadline');
    return this.give({ type: 'timer' });
  }

  hold(): this {
    this.want();
    this.granted();
    return this;
  }

  #print(output: KeeperOutput): string {
    if (output.type === 'state') return output.state.kind;
    this.#attempt = output.attempt;
    return `${output.type} ${output.id}`;
  }
}

describe('the keeper of the etcd lease', () => {
  test('grants, and holds it from when the grant was asked for', () => {
    const bench = new Bench();
    assert.deepEqual(bench.want(), ['granting', 'grant 5']);
    bench.now = 4_000;
    assert.deepEqual(bench.granted(), ['held']);
    assert.equal(bench.keeper.deadline, 10_000);
  });

  test('a grant whose answer comes after its TTL does not count as held', () => {
    const bench = new Bench();
    bench.want();
    bench.now = 45_000;
    assert.deepEqual(bench.granted(), ['keepAlive 5']);
    assert.deepEqual(bench.kept(0), []);
    assert.deepEqual(bench.wake(), ['grant 5']);
  });

  test('renews at a third of the TTL, counted from when the keepalive was sent', () => {
    const bench = new Bench().hold();
    assert.deepEqual(bench.wake(), ['keepAlive 5']);
    assert.equal(bench.now, 10_000);
    bench.now = 12_000;
    assert.deepEqual(bench.kept(30), []);
    assert.equal(bench.keeper.deadline, 20_000);
  });

  test('renews earlier where the margin asks for it, and never in a loop', () => {
    const bench = new Bench(30, 25_000);
    bench.hold();
    assert.equal(bench.keeper.deadline, 5000);
    const silly = new Bench(30, 1e9);
    silly.hold();
    assert.equal(silly.keeper.deadline, 300);
  });

  test('its own clock running out makes the lease doubtful, an answer makes it held again', () => {
    const bench = new Bench().hold();
    const seen: string[] = [];
    while (bench.now < 30_000) seen.push(...bench.wake(), ...bench.fail());
    assert.deepEqual(
      seen.filter((line) => line !== 'keepAlive 5'),
      ['doubtful'],
    );
    while (bench.wake().length === 0);
    assert.deepEqual(bench.kept(30), ['held']);
  });

  test("only the server's TTL 0 makes it lost; then it waits to be wanted again", () => {
    const bench = new Bench().hold();
    bench.wake();
    assert.deepEqual(bench.kept(0), ['lost']);
    assert.equal(bench.keeper.deadline, undefined);
    assert.deepEqual(bench.want(), ['granting', 'grant 5']);
  });

  test('wanted while held it asks at once, and again if an older question is under way', () => {
    const bench = new Bench().hold();
    assert.deepEqual(bench.want(), ['keepAlive 5']);
    assert.deepEqual(bench.want(), []);
    assert.deepEqual(bench.kept(30), ['keepAlive 5']);
    assert.deepEqual(bench.kept(30), []);
  });

  test('tries again with growing waits, but several times within a TTL', () => {
    const bench = new Bench();
    bench.want();
    const waits: number[] = [];
    for (let failure = 0; failure < 6; failure++) {
      bench.fail();
      waits.push(Math.round((bench.keeper.deadline ?? 0) - bench.now));
      assert.deepEqual(bench.wake(), ['grant 5']);
    }
    assert.deepEqual(waits, [100, 200, 400, 800, 1000, 1000]);
    const short = new Bench(0.3);
    short.want();
    for (let failure = 0; failure < 6; failure++) {
      short.fail();
      assert.ok((short.keeper.deadline ?? 0) - short.now <= 101);
      short.wake();
    }
  });

  test('a late answer to an older request is dropped', () => {
    const bench = new Bench().hold();
    bench.wake();
    bench.fail();
    assert.deepEqual(bench.kept(0, 3), []);
    assert.equal(bench.keeper.state.kind, 'held');
    assert.deepEqual(bench.want('6'), ['granting', 'grant 6']);
    assert.deepEqual(bench.kept(0, 4), []);
  });

  test('a keepalive whose answer comes after its TTL does not count as held', () => {
    const bench = new Bench().hold();
    bench.wake();
    bench.now = 45_000;
    assert.deepEqual(bench.kept(30).slice(0, 1), ['doubtful']);
  });
});
