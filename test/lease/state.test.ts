import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { loadState, type OwnState, saveState } from '../../src/lease/index.ts';

const STATE: OwnState = {
  subnet: '10.100.3.0-24',
  held: true,
  etcdLease: '9223372036854775807',
  addresses: ['10.10.10.104'],
  rival: undefined,
};

async function inFolder(body: (dir: string) => Promise<void>): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'hostgw-state-'));
  try {
    await body(dir);
  } finally {
    await rm(dir, { recursive: true });
  }
}

describe('the state on disk', () => {
  test('comes back as it was saved, and leaves no other file', () =>
    inFolder(async (dir) => {
      const inside = join(dir, 'a', 'b');
      await saveState(inside, STATE);
      await saveState(inside, { ...STATE, held: false, rival: '17' });
      const loaded = await loadState(inside);
      assert.deepEqual(loaded, { kind: 'state', state: { ...STATE, held: false, rival: '17' } });
      const tried = { ...STATE, tried: ['10.10.10.105'], triedAt: 12 };
      await saveState(inside, tried);
      assert.deepEqual(await loadState(inside), { kind: 'state', state: tried });
      assert.deepEqual(await readdir(inside), ['state.json']);
    }));

  test('that never was is none', () =>
    inFolder(async (dir) => {
      assert.deepEqual(await loadState(dir), { kind: 'none' });
      assert.deepEqual(await loadState(join(dir, 'absent')), { kind: 'none' });
    }));

  test('of another machine is not believed; where either has no mark it is', () =>
    inFolder(async (dir) => {
      await saveState(dir, STATE, 'this one');
      assert.deepEqual(await loadState(dir, 'leave', 'this one'), { kind: 'state', state: STATE });
      assert.deepEqual(await loadState(dir, 'leave'), { kind: 'state', state: STATE });
      const copied = await loadState(dir, 'set-aside', 'another one');
      assert.ok(copied.kind === 'copied');
      assert.match(
        copied.reason,
        /written by another machine .* 10\.100\.3\.0-24 is not taken for ours/,
      );
      await saveState(dir, STATE);
      assert.equal((await loadState(dir, 'leave', 'another one')).kind, 'state');
    }));

  test('saved by many at once is whole: one of them', () =>
    inFolder(async (dir) => {
      const ids = Array.from({ length: 20 }, (_, index) => String(index + 1));
      await Promise.all(ids.map((etcdLease) => saveState(dir, { ...STATE, etcdLease })));
      const loaded = await loadState(dir);
      assert.ok(loaded.kind === 'state' && ids.includes(loaded.state.etcdLease));
      assert.deepEqual(await readdir(dir), ['state.json']);
    }));

  test('that is damaged is set aside with a reason, and the next load finds none', () =>
    inFolder(async (dir) => {
      const good = JSON.stringify({ version: 1, own: STATE });
      const bad = [
        '',
        'x',
        '[]',
        '{}',
        good.slice(0, -1),
        good.replace('"version":1', '"version":2'),
        good.replace('10.100.3.0-24', '../../etc'),
        good.replace('9223372036854775807', '9223372036854775808'),
        good.replace('true', '"yes"'),
        good.replace('10.10.10.104', 'host'),
        good.replace('10.100.3.0-24', '10.100.3.5-24'),
      ];
      for (const text of bad) {
        await writeFile(join(dir, 'state.json'), text);
        const loaded = await loadState(dir);
        assert.ok(loaded.kind === 'damaged', text);
        assert.equal(loaded.movedTo, join(dir, 'state.json.damaged'));
        assert.equal(await readFile(loaded.movedTo, 'utf8'), text);
        assert.deepEqual(await loadState(dir), { kind: 'none' });
      }
    }));

  test('of any bytes never throws', () =>
    inFolder(async (dir) => {
      const anything = fc.oneof(
        fc.uint8Array(),
        fc.json().map((text) => Buffer.from(text)),
      );
      await fc.assert(
        fc.asyncProperty(anything, async (bytes) => {
          await writeFile(join(dir, 'state.json'), bytes);
          assert.notEqual((await loadState(dir)).kind, 'state');
        }),
        { numRuns: 50 },
      );
    }));

  test('that cannot be written rejects, and the old one stays', () =>
    inFolder(async (dir) => {
      await saveState(dir, STATE);
      await assert.rejects(saveState(join(dir, 'state.json'), { ...STATE, etcdLease: '1' }));
      assert.deepEqual(await loadState(dir), { kind: 'state', state: STATE });
    }));
});
