import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Crowd } from '../../src/agent/crowd.ts';
import { ManualClock } from '../support/clock.ts';
import { collectingLog } from '../support/log.ts';

describe('news that come in thousands', () => {
  test('are named up to 20, then counted in one line; a quiet kind beside them is named', () => {
    const clock = new ManualClock();
    const log = collectingLog();
    const crowd = new Crowd(log, clock, new AbortController().signal);
    for (let i = 1; i <= 2000; i += 1)
      crowd.say('warn', `peer ${i} is off-link`, 'peers are off-link');
    crowd.say('info', 'subnet added: 1', 'subnets are added');
    const shown = (): string[] => log.lines.filter((line) => !line.startsWith('debug '));
    assert.equal(shown().length, 21);
    assert.deepEqual(shown().slice(-2), ['warn peer 20 is off-link', 'info subnet added: 1']);
    assert.equal(log.lines.length, 2001, 'each is named with -v');
    clock.advance(5_000);
    assert.deepEqual(shown().slice(21), ['warn 1980 more peers are off-link']);
    crowd.say('warn', 'peer 7 is off-link', 'peers are off-link');
    assert.equal(shown().at(-1), 'warn peer 7 is off-link');
    clock.advance(5_000);
    assert.equal(shown().length, 23);
    assert.equal(clock.pending, 0);
  });

  test('are counted at once when the agent ends, and no timer keeps it', () => {
    const [clock, log, stop] = [new ManualClock(), collectingLog(), new AbortController()];
    const crowd = new Crowd(log, clock, stop.signal);
    for (let i = 1; i <= 25; i += 1) crowd.say('info', `subnet added: ${i}`, 'subnets are added');
    stop.abort();
    assert.equal(log.lines.at(-1), 'info 5 more subnets are added');
    assert.equal(clock.pending, 0);
  });
});
