import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const top = fileURLToPath(new URL('../..', import.meta.url));
const LINES_MAX = 300;

/** What each room may import besides itself: one way only (docs/architecture.md). */
const BELOW: Record<string, readonly string[]> = {
  core: [],
  ip: [],
  config: ['ip', 'core'],
  etcd: ['config', 'ip', 'core'],
  lease: ['config', 'ip', 'core'],
  route: ['config', 'ip', 'core'],
  host: ['config', 'ip', 'core'],
  agent: ['etcd', 'lease', 'route', 'host', 'config', 'ip', 'core'],
  lab: ['config', 'ip', 'core'],
  commands: ['agent', 'lab', 'etcd', 'lease', 'route', 'host', 'config', 'ip', 'core'],
};

/** The cores, which must be pure: design.md, Cores and rims. */
const CORES = [
  'src/etcd/watch.ts',
  'src/etcd/resume.ts',
  'src/lease/keeper.ts',
  'src/lease/own.ts',
  'src/lease/allocator.ts',
  'src/lease/judge.ts',
  'src/route/reconciler.ts',
  'src/route/tracker.ts',
];

interface Source {
  readonly path: string;
  readonly text: string;
}

function sources(folder: string, ending: RegExp): Source[] {
  return readdirSync(join(top, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && ending.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => !path.includes('/target/'))
    .map((path) => ({ path: relative(top, path), text: readFileSync(path, 'utf8') }));
}

const typescript = [
  ...sources('src', /\.ts$/),
  ...sources('test', /\.ts$/),
  ...sources('bench', /\.ts$/),
];
const rust = sources('native', /\.rs$/);

/** Every line that matches, as path:line. */
function places(files: readonly Source[], pattern: RegExp): string[] {
  return files.flatMap(({ path, text }) =>
    text
      .split('\n')
      .flatMap((line, index) =>
        pattern.test(line) ? [`${path}:${index + 1} ${line.trim()}`] : [],
      ),
  );
}

function importsOf({ text }: Source): string[] {
  return [...text.matchAll(/(?:from|import)\s*\(?\s*'(\.{1,2}\/[^']+)'/g)].map(
    (match) => match[1] ?? '',
  );
}

describe('the tree', () => {
  test(`has no file over ${LINES_MAX} lines`, () => {
    const long = [...typescript, ...rust]
      .map(({ path, text }) => ({ path, lines: text.split('\n').length - 1 }))
      .filter(({ lines }) => lines > LINES_MAX);
    assert.deepEqual(long, []);
  });

  test('imports only downwards, and from another room only its index', () => {
    const wrong = typescript
      .filter(({ path }) => path.startsWith('src/') && path !== 'src/main.ts')
      .flatMap((source) => {
        const [, room = ''] = source.path.split('/');
        return importsOf(source).flatMap((target) => {
          const [, other = '', ...rest] = join(source.path, '..', target).split('/');
          if (other === room || !(other in BELOW)) return [];
          const down = BELOW[room]?.includes(other) ?? false;
          return down && rest.join('/') === 'index.ts' ? [] : [`${source.path} imports ${target}`];
        });
      });
    assert.deepEqual(wrong, []);
  });

  test('begins every module of src with what it promises', () => {
    const silent = typescript.filter(
      ({ path, text }) => path.startsWith('src/') && !/^(#!.*\n)?\/\*\*/.test(text),
    );
    assert.deepEqual(
      silent.map(({ path }) => path),
      [],
    );
  });

  test('has cores without a clock, chance, promise or input and output of their own', () => {
    const cores = typescript.filter(({ path }) => CORES.includes(path));
    assert.equal(cores.length, CORES.length, 'every core is where it is looked for');
    const ambient =
      /\b(Date\.|performance\.|Math\.random|setTimeout|setInterval|new Promise|async |await |process\.|node:)/;
    assert.deepEqual(places(cores, ambient), []);
  });

  test('takes time and chance only where they are handed in', () => {
    const elsewhere = typescript.filter(
      ({ path }) =>
        path.startsWith('src/') && !path.startsWith('src/lab/') && path !== 'src/core/clock.ts',
    );
    assert.deepEqual(places(elsewhere, /\b(Date\.now|performance\.now|Math\.random)\(/), []);
  });

  test('has no test that sleeps, is skipped for good or runs alone', () => {
    const tests = typescript.filter(
      ({ path }) => path.startsWith('test/') && !path.startsWith('test/tidy/'),
    );
    assert.deepEqual(
      places(tests, /\b(await (sleep|delay|setTimeout)\(|(test|it|describe)\.(skip|only|todo)\()/),
      [],
    );
  });

  test('silences no type checker', () => {
    const all = typescript.filter(({ path }) => !path.startsWith('test/tidy/'));
    assert.deepEqual(places(all, /@ts-(ignore|expect-error|nocheck)/), []);
  });

  test('keeps unsafe Rust in one module of a crate, each with its reason', () => {
    const inCode = rust.filter(({ path }) => !/(_tests|testing)\.rs$/.test(path));
    const files = new Set(
      places(inCode, /\bunsafe (\{|fn|impl)/).map((place) => place.split(':')[0] ?? ''),
    );
    const crates = [...files].map((file) => file.split('/').slice(0, 2).join('/'));
    assert.deepEqual(crates, [...new Set(crates)], [...files].join(', '));
  });
});
