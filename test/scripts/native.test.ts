import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
// @ts-types="../../scripts/native.d.mts"
import { type BuildResult, buildNative } from '../../scripts/native.mjs';

const NATIVE = fileURLToPath(new URL('../../native/', import.meta.url));

describe('the build of the addon', () => {
  let root = '';
  let file = '';
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'hostgw-build-'));
    file = join(root, 'hostgw.node');
    for (const name of ['Cargo.toml', 'Cargo.lock', 'rtnetlink', 'addon']) {
      cpSync(join(NATIVE, name), join(root, name), { recursive: true });
    }
  });
  afterEach(() => rmSync(root, { recursive: true }));

  /** A cargo that answers --version, and does `script` for anything else. */
  const cargo = (script: string, version = 'cargo 1.99.0 (0123 2030-01-01)'): string => {
    const path = join(root, 'cargo');
    writeFileSync(
      path,
      `#!/bin/sh\n[ "$1" = --version ] && echo '${version}' && exit 0\n${script}\n`,
    );
    chmodSync(path, 0o755);
    return path;
  };
  /** What a good cargo does: a library with the sources' marker, named in JSON, and a line in the file `calls`. */
  const good = (): string => {
    const library = join(root, 'target', 'libhostgw_addon.so');
    mkdirSync(join(root, 'target'));
    const message = {
      reason: 'compiler-artifact',
      target: { name: 'hostgw_addon' },
      filenames: [library],
    };
    return `echo call >> '${root}/calls'
printf 'library hostgw-sources:%s' "$HOSTGW_SOURCES" > '${library}'
echo '${JSON.stringify(message)}'`;
  };
  const build = (path: string): Promise<BuildResult> => buildNative({ root, cargo: path });
  const reasonOf = (result: BuildResult): string => (result.ok ? 'built' : result.reason);

  test('builds once, and again only after a change of a source', async () => {
    const path = cargo(good());
    assert.deepEqual(await build(path), { ok: true, built: true, file });
    assert.deepEqual(await build(path), { ok: true, built: false, file });
    const source = join(root, 'rtnetlink', 'src', 'wire.rs');
    writeFileSync(source, `${readFileSync(source, 'utf8')}// changed\n`);
    assert.deepEqual(await build(path), { ok: true, built: true, file });
    assert.equal(readFileSync(join(root, 'calls'), 'utf8'), 'call\ncall\n');
  });

  test('two builds at once both end well and leave one file', async () => {
    const path = cargo(good());
    const results = await Promise.all([build(path), build(path)]);
    assert.deepEqual(
      results.map((result: BuildResult) => result.ok),
      [true, true],
    );
    assert.deepEqual(
      readdirSync(root).filter((name) => name.endsWith('.node')),
      ['hostgw.node'],
    );
  });

  test('an up-to-date file stays without cargo, one of other sources does not', async () => {
    await build(cargo(good()));
    const missing = join(root, 'no-cargo');
    assert.deepEqual(await build(missing), { ok: true, built: false, file });
    const manifest = join(root, 'addon', 'Cargo.toml');
    writeFileSync(manifest, `${readFileSync(manifest, 'utf8')}\n`);
    assert.equal(reasonOf(await build(missing)), `${missing} was not found`);
    assert.equal(existsSync(file), false);
  });

  test('an old cargo is named with the version that is needed', async () => {
    const result = await build(cargo('exit 1', 'cargo 1.63.0'));
    const needed = /rust-version = "(.+)"/.exec(
      readFileSync(join(NATIVE, 'Cargo.toml'), 'utf8'),
    )?.[1];
    assert.deepEqual(result, {
      ok: false,
      reason: `cargo 1.63.0 is older than ${needed}`,
      cure: `install Rust ${needed} or newer (https://rustup.rs)`,
    });
  });

  test('a cargo that does not run, or says nonsense, is named with its words', async () => {
    const path = join(root, 'cargo');
    writeFileSync(path, '#!/bin/sh\necho no toolchain is installed >&2; exit 1\n', { mode: 0o755 });
    assert.equal(reasonOf(await build(path)), `${path} does not run: no toolchain is installed`);
    chmodSync(path, 0o644);
    assert.match(reasonOf(await build(path)), /does not run/);
    assert.match(reasonOf(await build(cargo('', 'hello'))), /does not run/);
  });

  test('a failing build gives its first error, a missing linker its name, an unreachable registry its cure', async () => {
    const failing = await build(
      cargo("echo 'warning: x' >&2; echo 'error[E0308]: mismatched' >&2; exit 101"),
    );
    assert.equal(reasonOf(failing), 'cargo build failed (status 101): error[E0308]: mismatched');
    const linker = await build(cargo("echo 'error: linker `cc` not found' >&2; exit 101"));
    assert.equal(reasonOf(linker), 'the linker cc was not found');
    const offline = await build(
      cargo("echo 'error: failed to download from registry' >&2; exit 101"),
    );
    assert.ok(!offline.ok && offline.cure.includes('registry'));
    const killed = await build(cargo('kill -9 $$'));
    assert.match(reasonOf(killed), /^cargo build failed \(signal SIGKILL\)/);
  });

  test('a cargo that builds nothing, or something else, is a failure', async () => {
    assert.equal(reasonOf(await build(cargo('exit 0'))), 'cargo built no library');
    const other = good().replace('$HOSTGW_SOURCES', 'other');
    assert.equal(reasonOf(await build(cargo(other))), 'cargo built a library of other sources');
    assert.equal(existsSync(file), false);
  });

  test('a run without cargo ends at once', async () => {
    const script = new URL('../../scripts/native.mjs', import.meta.url).href;
    const code = `const { buildNative } = await import(${JSON.stringify(script)});
      const result = await buildNative({ root: ${JSON.stringify(root)}, cargo: '/nonexistent/cargo' });
      console.log(result.reason);`;
    const file = join(root, 'run.mjs');
    writeFileSync(file, code);
    const words = process.versions['deno'] === undefined ? [file] : ['run', '-A', file];
    const { stdout } = await promisify(execFile)(process.execPath, words, { timeout: 60_000 });
    assert.equal(stdout, '/nonexistent/cargo was not found\n');
  });

  test('a folder without sources is a reason, not a throw', async () => {
    rmSync(join(root, 'Cargo.toml'));
    assert.match(reasonOf(await build(cargo('exit 0'))), /^the build cannot be run: /);
  });
});
