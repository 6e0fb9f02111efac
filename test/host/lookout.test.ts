/** When the firewall is looked at: with changes that are heard, without, and with some that cannot be. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { run, systemClock } from '../../src/core/index.ts';
import { type Hear, keepLooking } from '../../src/host/forward/lookout.ts';
import { ForwardRules } from '../../src/host/index.ts';
import { nativeFirewall } from '../../src/route/index.ts';
import { ManualClock } from '../support/clock.ts';
import { needs } from '../support/needs.ts';
import { inNetns } from '../support/netns.ts';
import { until } from '../support/until.ts';
import { Lines, wanted } from './opened.ts';

const EVERY_MS = 5_000;
const RARELY_MS = 60_000;

/** A lookout on a clock that stands still; `looks` are the times of its looks. */
class Bench {
  readonly clock = new ManualClock();
  readonly looks: number[] = [];
  readonly stop = new AbortController();
  audible = true;
  inaudibleNews = false;
  change = (): void => {};

  constructor(hear?: Hear) {
    const heard: Hear = (onChange) => {
      this.change = onChange;
    };
    keepLooking(
      {
        clock: this.clock,
        everyMs: EVERY_MS,
        hear: hear ?? heard,
        look: async () => {
          this.looks.push(this.clock.now());
          this.inaudibleNews = false;
          return this.audible;
        },
        glance: async () => this.inaudibleNews,
      },
      this.stop.signal,
    );
  }

  /** Moves on in small steps, with all that follows from each. */
  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 10) {
      this.clock.advance(Math.min(10, left));
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

describe('the lookout on the firewall', () => {
  test('looks rarely while nothing is heard, and soon after something was', async () => {
    const bench = new Bench();
    await bench.pass(EVERY_MS);
    await bench.pass(2 * RARELY_MS);
    assert.deepEqual(bench.looks, [EVERY_MS, EVERY_MS + RARELY_MS, EVERY_MS + 2 * RARELY_MS]);
    await bench.pass(10_000);
    bench.looks.length = 0;
    const changed = bench.clock.now();
    bench.change();
    bench.change();
    await bench.pass(1_000);
    assert.equal(bench.looks.length, 1);
    assert.ok((bench.looks[0] ?? 0) <= changed + 100);
  });

  test('looks no oftener than it may, however much changes, and not at last too little', async () => {
    const bench = new Bench();
    await bench.pass(EVERY_MS);
    const begin = bench.clock.now();
    for (let round = 0; round < 300; round += 1) {
      bench.change();
      await bench.pass(100);
    }
    const during = bench.looks.filter((at) => at > begin);
    assert.ok(during.length >= 5 && during.length <= 6, String(during));
    await bench.pass(EVERY_MS);
    assert.ok((bench.looks.at(-1) ?? 0) > begin + 30_000 - EVERY_MS);
  });

  test('looks every so often where changes cannot be heard', async () => {
    const refused: Hear = () => {
      throw new Error('Operation not permitted');
    };
    const deaf = new Bench(refused);
    await deaf.pass(3 * EVERY_MS);
    assert.equal(deaf.looks.length, 3);
    const legacy = new Bench();
    legacy.audible = false;
    await legacy.pass(3 * EVERY_MS);
    assert.equal(legacy.looks.length, 3);
  });

  test('sees what cannot be heard come, though it looks rarely', async () => {
    const bench = new Bench();
    await bench.pass(EVERY_MS + 1_000);
    bench.looks.length = 0;
    bench.inaudibleNews = true;
    await bench.pass(EVERY_MS);
    assert.equal(bench.looks.length, 1);
  });

  test('has no timer left at its end, also if that comes during a look', async () => {
    const bench = new Bench();
    bench.stop.abort();
    assert.equal(bench.clock.pending, 0);
    bench.change();
    assert.equal(bench.clock.pending, 0);
    const second = new Bench();
    second.clock.advance(EVERY_MS);
    second.stop.abort();
    await second.pass(EVERY_MS);
    assert.equal(second.clock.pending, 0);
  });
});

const skip = needs('root', 'unshare', 'ip', 'nft', 'iptables-nft', 'native');
inNetns(import.meta.url, skip, (test) => {
  test('the kernel tells of a flush, and all is back long before the next look is due', async () => {
    const stop = new AbortController();
    const log = new Lines();
    const state = async (): Promise<string> =>
      (await run('nft', ['list', 'ruleset'])).stdout.replaceAll(/packets \d+ bytes \d+/g, '');
    const rules = new ForwardRules({
      log,
      clock: systemClock,
      checkMs: 100,
      hear: nativeFirewall(),
      legacyTables: async () => '',
    });
    await rules.ensure(wanted, stop.signal);
    rules.watch(() => {}, stop.signal);
    const before = await state();
    for (let round = 0; round < 3; round += 1) {
      await run('nft', ['flush', 'ruleset']);
      const back = async () => (await state()) === before;
      await until('what was flushed is back', back, 30_000);
    }
    assert.ok(log.lines.some((line) => /^warn Somebody changed or flushed/.test(line)));
    stop.abort();
  });
});
