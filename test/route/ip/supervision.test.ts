/** When a monitor is started, ended and missed, decided without a process. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  Supervision,
  type SupervisionInput,
  type SupervisionOutput,
} from '../../../src/route/ip/supervision.ts';

class Scene {
  readonly core = new Supervision(() => 0);
  now = 0;

  /** What comes of it, in a word each. */
  send(input: SupervisionInput | 'timer'): string[] {
    return this.#words(this.core.handle(input === 'timer' ? { type: 'timer' } : input, this.now));
  }

  /** Lets the time come at which it wants to be woken. */
  wake(): string[] {
    assert.ok(this.core.deadline !== undefined);
    this.now = this.core.deadline;
    return this.send('timer');
  }

  #words(outputs: readonly SupervisionOutput[]): string[] {
    return outputs.map((output) => {
      if ('attempt' in output) return `${output.type} ${output.attempt}`;
      return 'reason' in output ? `${output.type}: ${output.reason ?? 'as expected'}` : output.type;
    });
  }
}

const listens = (attempt: number) => ({ type: 'listens', attempt }) as const;
const ended = (attempt: number) => ({ type: 'ended', attempt, said: 'killed' }) as const;
const LOST = ['missed: ip monitor ended: killed'];

function listening(): Scene {
  const scene = new Scene();
  assert.deepEqual(scene.send({ type: 'open' }), ['start 1']);
  assert.deepEqual(scene.send(listens(1)), ['opened']);
  assert.equal(scene.core.deadline, undefined);
  return scene;
}

describe('a supervised monitor', () => {
  test('that ends before it listens for the first time is refused, and not started again', () => {
    const scene = new Scene();
    scene.send({ type: 'open' });
    assert.deepEqual(scene.send(ended(1)), ['refused: ip monitor does not listen: killed']);
    assert.equal(scene.core.deadline, undefined);
  });

  test('that does not come to listen is ended, and refused then', () => {
    const scene = new Scene();
    scene.send({ type: 'open' });
    assert.deepEqual(scene.wake(), ['end 1']);
    assert.deepEqual(scene.send(ended(1)), ['refused: ip monitor does not listen: killed']);
  });

  test('that ends is missed at once, and again when it was started anew', () => {
    const scene = listening();
    assert.deepEqual(scene.send(ended(1)), LOST);
    assert.deepEqual(scene.wake(), ['start 2']);
    assert.deepEqual(scene.send(ended(2)), [], 'that it still does not run is no news');
    assert.deepEqual(scene.wake(), ['start 3']);
    assert.deepEqual(scene.send(listens(3)), ['missed: ip monitor was started anew']);
  });

  test('is tried ever more slowly, until it has listened for long', () => {
    const scene = listening();
    const waits: number[] = [];
    for (let attempt = 1; attempt <= 3; attempt += 1) {
      scene.send(ended(attempt));
      waits.push((scene.core.deadline ?? 0) - scene.now);
      scene.wake();
      scene.send(listens(attempt + 1));
    }
    scene.now += 11_000;
    scene.send(ended(4));
    waits.push((scene.core.deadline ?? 0) - scene.now);
    assert.deepEqual(waits, [50, 100, 200, 50]);
  });

  test('that was paused ends without a word, and is missed when it listens again', () => {
    const scene = listening();
    assert.deepEqual(scene.send({ type: 'pause' }), ['end 1']);
    assert.deepEqual(scene.send(ended(1)), []);
    assert.equal(scene.core.deadline, undefined, 'nothing starts it meanwhile');
    assert.deepEqual(scene.send({ type: 'resume' }), ['start 2']);
    assert.deepEqual(scene.send(listens(2)), ['missed: as expected']);
    assert.deepEqual(scene.send(ended(2)), LOST);
  });

  test('that was paused may end after it was resumed', () => {
    const scene = listening();
    scene.send({ type: 'pause' });
    scene.send({ type: 'resume' });
    assert.deepEqual(scene.send(ended(1)), []);
    assert.deepEqual(scene.send(listens(1)), []);
    assert.deepEqual(scene.send(listens(2)), ['missed: as expected']);
  });

  test('that cannot be started again after a pause is lost like any other', () => {
    const scene = listening();
    scene.send({ type: 'pause' });
    scene.send({ type: 'resume' });
    assert.deepEqual(scene.send(ended(2)), LOST);
    assert.deepEqual(scene.wake(), ['start 3']);
    assert.deepEqual(scene.send(listens(3)), ['missed: ip monitor was started anew']);
  });

  test('that does not listen yet, or is waited for, is not paused', () => {
    const scene = new Scene();
    scene.send({ type: 'open' });
    assert.deepEqual(scene.send({ type: 'pause' }), []);
    assert.deepEqual(scene.send({ type: 'resume' }), []);
    assert.deepEqual(scene.send(listens(1)), ['opened']);
    scene.send(ended(1));
    assert.deepEqual(scene.send({ type: 'pause' }), []);
    assert.deepEqual(scene.send({ type: 'resume' }), []);
    assert.deepEqual(scene.wake(), ['start 2']);
  });
});

test('whatever happens, one runs at most; none that listened goes unheard unless missed is said; none stays away', () => {
  const step = fc.constantFrom('listens', 'ended', 'late', 'pause', 'resume', 'timer');
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const scene = listening();
      let running: number | undefined = 1;
      let paused = false;
      let ear = true;
      for (const word of steps) {
        let said: string[] = [];
        if (word === 'pause' || word === 'resume') {
          paused = word === 'pause';
          said = scene.send({ type: word });
        } else if (word === 'timer') {
          if (scene.core.deadline !== undefined) said = scene.wake();
        } else if (word === 'late') said = scene.send(ended(0));
        else if (running !== undefined) {
          said = scene.send(word === 'listens' ? listens(running) : ended(running));
          if (word === 'ended') [running, ear] = [undefined, false];
          else if (said.length > 0) ear = true;
        }
        for (const one of said) {
          const [verb, number] = one.split(' ');
          if (verb === 'end') [running, ear] = [undefined, false];
          if (verb === 'start') {
            assert.equal(running, undefined, 'the one before it has ended, or is about to');
            running = Number(number);
          }
        }
        if (word === 'listens' && said.length > 0) assert.match(said[0] ?? '', /^missed/);
      }
      if (paused) scene.send({ type: 'resume' });
      // A heard one needs nothing; any other is about to listen, or has a time at which it will be started.
      assert.ok(ear || running !== undefined || scene.core.deadline !== undefined);
    }),
  );
});
