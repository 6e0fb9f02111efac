import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { run } from '../../src/core/index.ts';
import { type DiskView, loadView, saveView } from '../../src/lease/index.ts';
import { needs } from '../support/needs.ts';

const PREFIX = '/coreos.com/network';
const VIEW: DiskView = {
  etcdPrefix: PREFIX,
  clusterId: '14841639068965178418',
  revision: 77,
  witnesses: [`${PREFIX}/config`],
  whole: true,
  entries: [
    ...[{ key: `${PREFIX}/config`, value: '{"Network":"10.100.0.0/16"}', lease: '0' }],
    ...[{ key: `${PREFIX}/subnets/10.100.3.0-24`, value: '{"PublicIP":"ä\n"}', lease: '77' }],
  ].map((entry) => ({ ...entry, createRevision: 5, modRevision: 6 })),
  config: '{"Network":"10.100.0.0/16"}',
  departed: ['10.100.9.0-24 10.10.10.9'],
  confirmedAt: 1_700_000_000_000,
  own: '10.100.3.0-24',
  holding: true,
};

async function inFolder(body: (dir: string, file: string) => Promise<void>): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'hostgw-view-'));
  try {
    await body(dir, join(dir, 'view.json'));
  } finally {
    await rm(dir, { recursive: true });
  }
}

describe('the view on disk', () => {
  test('comes back as it was saved, whatever it holds, and leaves no other file', () =>
    inFolder(async (dir) => {
      const inside = join(dir, 'a', 'b');
      await saveView(inside, VIEW);
      assert.deepEqual(await loadView(inside, PREFIX), { kind: 'view', view: VIEW });
      const bare = {
        ...VIEW,
        config: undefined,
        confirmedAt: undefined,
        own: undefined,
        holding: false,
        entries: [],
        whole: false,
      };
      await saveView(inside, bare);
      assert.deepEqual(await loadView(inside, PREFIX), { kind: 'view', view: bare });
      assert.deepEqual(await readdir(inside), ['view.json']);
    }));

  test('of 2,500 leases is whole: it is written in pieces', () =>
    inFolder(async (dir) => {
      const [entry] = VIEW.entries;
      assert.ok(entry !== undefined);
      const entries = Array.from({ length: 2_500 }, (_, i) => ({ ...entry, key: `/k${i}` }));
      await saveView(dir, { ...VIEW, entries });
      const loaded = await loadView(dir, PREFIX);
      assert.ok(loaded.kind === 'view');
      assert.deepEqual(loaded.view.entries, entries);
    }));

  test('that never was is none, and one of another prefix is none of ours and stays', () =>
    inFolder(async (dir) => {
      assert.deepEqual(await loadView(dir, PREFIX), { kind: 'none' });
      assert.deepEqual(await loadView(join(dir, 'absent'), PREFIX), { kind: 'none' });
      await saveView(dir, VIEW);
      assert.deepEqual(await loadView(dir, '/other/network'), { kind: 'none' });
      assert.deepEqual(await loadView(dir, PREFIX), { kind: 'view', view: VIEW });
    }));

  test('that is damaged in any byte, cut short, or of another version is set aside, and the next load finds none', () =>
    inFolder(async (dir, file) => {
      await saveView(dir, VIEW);
      const good = await readFile(file, 'utf8');
      const cut = [0, 1, 40, good.indexOf('\n'), good.length - 1].map((at) => good.slice(0, at));
      const flipped = [3, good.indexOf('10.100.3.0'), good.length - 2].map(
        (at) => `${good.slice(0, at)}~${good.slice(at + 1)}`,
      );
      const older = good.replace('"version":1', '"version":0');
      for (const text of [...cut, ...flipped, older, `${good}x`]) {
        await writeFile(file, text);
        assert.equal((await loadView(dir, PREFIX, 'leave')).kind, 'damaged');
        const loaded = await loadView(dir, PREFIX);
        assert.ok(loaded.kind === 'damaged', text);
        assert.ok(loaded.reason.startsWith(file), loaded.reason);
        assert.equal(loaded.movedTo, `${file}.damaged`);
        assert.equal(await readFile(loaded.movedTo, 'utf8'), text);
        assert.deepEqual(await loadView(dir, PREFIX), { kind: 'none' });
      }
    }));

  test('with a right checksum of what is no view is set aside too', () =>
    inFolder(async (dir) => {
      const [entry] = VIEW.entries;
      for (const wrong of [
        { revision: '77' },
        { entries: [{ ...entry, modRevision: 1.5 }] },
        { whole: 1 },
        { witnesses: [1] },
        { config: {} },
        { confirmedAt: 'today' },
      ]) {
        await saveView(dir, Object.assign({ ...VIEW }, wrong));
        const loaded = await loadView(dir, PREFIX);
        assert.ok(loaded.kind === 'damaged', JSON.stringify(wrong));
        assert.match(loaded.reason, /is not a view of leases$/);
      }
    }));

  test('of any bytes never throws', () =>
    inFolder(async (dir, file) => {
      const anything = fc.oneof(
        fc.uint8Array(),
        fc.json().map((text) => Buffer.from(`{"version":1}\n${text}`)),
      );
      await fc.assert(
        fc.asyncProperty(anything, async (bytes) => {
          await writeFile(file, bytes);
          assert.equal((await loadView(dir, PREFIX)).kind, 'damaged');
        }),
        { numRuns: 50 },
      );
    }));

  test('half-written by an agent that was killed changes nothing, and the half is removed at the next start', () =>
    inFolder(async (dir) => {
      await saveView(dir, VIEW);
      await writeFile(join(dir, 'view.json.4711.3.tmp'), '{"version":1,"sha');
      assert.deepEqual(await loadView(dir, PREFIX, 'leave'), { kind: 'view', view: VIEW });
      assert.equal((await readdir(dir)).length, 2, 'a look at it removes nothing');
      assert.deepEqual(await loadView(dir, PREFIX), { kind: 'view', view: VIEW });
      assert.deepEqual(await readdir(dir), ['view.json']);
    }));

  const skip = needs('root', 'unshare', 'mount', 'sh') ?? false;
  test(
    'on a full disk is not replaced: the save rejects, the old one stays, and no half is left',
    {
      skip,
    },
    () =>
      inFolder(async (dir) => {
        const child = fileURLToPath(new URL('fullDisk.ts', import.meta.url));
        // A mount namespace of its own: the small disk goes with the program.
        const script = 'mount -t tmpfs -o size=16k none "$1" && exec "$2" "$3" "$1"';
        const all = ['--mount', '--', 'sh', '-c', script, 'sh', dir, process.execPath, child];
        const { code, stdout, stderr } = await run('unshare', all, { timeoutMs: 30_000 });
        assert.equal(code, 0, stderr);
        const { refused, names, revision } = JSON.parse(stdout);
        assert.match(refused, /ENOSPC|no space/i);
        assert.deepEqual([names, revision], [['view.json'], 1]);
      }),
  );
});
