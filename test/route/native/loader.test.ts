import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { ADDON_FILE, checkExports, loadAddon } from '../../../src/route/native/loader.ts';
import { ABI } from '../../../src/route/native/records.ts';

const skip = existsSync(ADDON_FILE) ? undefined : 'needs the addon';
const LIBRARY = ['/lib/x86_64-linux-gnu/libm.so.6', '/lib/aarch64-linux-gnu/libm.so.6'].find(
  (file) => existsSync(file),
);

describe('the addon loader', () => {
  let folder = '';
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'hostgw-loader-'));
  });
  after(() => rmSync(folder, { recursive: true }));

  /** What the loader makes of a file of these bytes; its reason without the path. */
  const load = (name: string, bytes: Uint8Array | string): [kind: string, reason: string] => {
    const file = join(folder, name);
    writeFileSync(file, bytes);
    const loaded = loadAddon(file);
    return [loaded.kind, loaded.kind === 'loaded' ? '' : loaded.reason.replace(file, 'FILE')];
  };

  test('a missing file is absent, not broken', () => {
    const file = join(folder, 'missing.node');
    assert.deepEqual(loadAddon(file), { kind: 'absent', reason: `${file} is not there` });
  });

  test('what is no ELF file is broken', () => {
    assert.deepEqual(load('empty.node', ''), ['broken', 'FILE is no ELF file']);
    assert.deepEqual(load('text.node', 'x'.repeat(1000)), ['broken', 'FILE is no ELF file']);
    assert.deepEqual(load('magic.node', '\x7fELF'), ['broken', 'FILE is no ELF file']);
    assert.equal(loadAddon(folder).kind, 'broken');
  });

  test('a file that was cut short anywhere is broken and kills nobody', { skip }, () => {
    const whole = readFileSync(ADDON_FILE);
    for (const part of [64 / whole.length, 0.001, 0.1, 0.5, 0.9, 0.999, 1 - 1 / whole.length]) {
      const length = Math.round(whole.length * part);
      const found = load(`cut${length}.node`, whole.subarray(0, length));
      assert.deepEqual(found, ['broken', 'FILE is cut short: build it anew'], `${length} bytes`);
    }
  });

  test('a whole library that is no addon is broken', {
    skip: LIBRARY === undefined ? 'needs libm' : undefined,
  }, () => {
    assert.ok(LIBRARY);
    const [kind, reason] = load('other.node', readFileSync(LIBRARY));
    assert.equal(kind, 'broken');
    assert.match(reason, /^FILE (cannot be loaded|has no version)/);
  });

  test('an addon of another version or with a function missing is broken', () => {
    const whole = { abi: () => ABI, notify: () => {}, Netlink: class {}, Firewall: class {} };
    assert.equal(checkExports('FILE', whole).kind, 'loaded');
    const reasons = [
      undefined,
      {},
      { ...whole, abi: () => ABI + 1 },
      { ...whole, Netlink: undefined },
    ].map((exports) => {
      const checked = checkExports('FILE', exports);
      return checked.kind === 'broken' ? checked.reason : checked.kind;
    });
    assert.deepEqual(reasons, [
      `FILE has no version, version ${ABI} is needed: build it anew`,
      `FILE has no version, version ${ABI} is needed: build it anew`,
      `FILE has version ${ABI + 1}, version ${ABI} is needed: build it anew`,
      'FILE lacks Netlink: build it anew',
    ]);
  });

  test('the addon loads, also twice', { skip }, () => {
    for (let time = 0; time < 2; time += 1) assert.equal(loadAddon().kind, 'loaded');
  });

  test('a process that listens and closes nothing still ends by itself', { skip }, async () => {
    const script = join(folder, 'listens.mjs');
    const entry = new URL('../../../src/route/native/index.ts', import.meta.url).href;
    writeFileSync(
      script,
      `import { openNative } from ${JSON.stringify(entry)};
       const opened = openNative();
       await opened.driver.listen({ table: 254, protocol: 77, within: [] }, () => {});
       console.log('listening');`,
    );
    const words = process.versions['deno'] === undefined ? [script] : ['run', '-A', script];
    const { stdout } = await promisify(execFile)(process.execPath, words, { timeout: 60_000 });
    assert.equal(stdout, 'listening\n');
  });
});
