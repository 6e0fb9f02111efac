/**
 * Builds the native route driver: cargo build in native/, the library to native/hostgw.node.
 * Plain JavaScript for Node >= 20 without dependencies. Never throws; what was built from other sources does not stay.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { join } from 'node:path';
import process, { argv, env, exit } from 'node:process';
import { fileURLToPath, pathToFileURL } from 'node:url';

const NATIVE = fileURLToPath(new URL('../native/', import.meta.url));
const BUILD_TIMEOUT_MS = 15 * 60_000;
const INSTALL_RUST = 'install Rust (https://rustup.rs or the packages cargo and rustc)';

/**
 * Builds the addon unless it is up to date.
 * Types: native.d.mts.
 */
export async function buildNative({
  log = () => {},
  root = NATIVE,
  cargo = env.CARGO || 'cargo',
} = {}) {
  const file = join(root, 'hostgw.node');
  try {
    const sources = hashOf(root);
    if (isBuiltFrom(file, sources)) {
      log('the native route driver is up to date');
      return { ok: true, built: false, file };
    }
    const result = await build(root, file, sources, cargo, log);
    if (!result.ok && existsSync(file)) {
      rmSync(file);
      log('the native route driver of other sources was removed');
    }
    return result;
  } catch (error) {
    return failed(
      `the build cannot be run: ${error.message}`,
      'see that the folder native/ can be written',
    );
  }
}

async function build(root, file, sources, cargo, log) {
  const unfit = await unfitness(root, cargo);
  if (unfit !== undefined) return unfit;
  log('building the native route driver (about half a minute the first time)');
  const targetDir = join(root, 'target');
  const args = ['build', '--release', '--locked', '--package', 'hostgw-addon'];
  args.push('--target-dir', targetDir, '--message-format', 'json-render-diagnostics');
  const done = await run(cargo, args, root, { HOSTGW_SOURCES: sources, CARGO_TERM_COLOR: 'never' });
  if (done.code !== 0) return explain(done);
  const library = libraryIn(done.stdout);
  if (library === undefined)
    return failed(
      'cargo built no library',
      'use a Rust toolchain that can build a cdylib for this system',
    );
  // A running process maps the old file: writing into it would crash that process, a rename does not.
  const fresh = join(root, `.hostgw-${process.pid}.node`);
  try {
    copyFileSync(library, fresh);
    renameSync(fresh, file);
  } finally {
    rmSync(fresh, { force: true });
  }
  if (!isBuiltFrom(file, sources))
    return failed('cargo built a library of other sources', `remove ${targetDir} and build again`);
  log('the native route driver was built');
  return { ok: true, built: true, file };
}

/** Why cargo cannot be used at all; undefined if it can. */
async function unfitness(root, cargo) {
  const version = await run(cargo, ['--version'], root, {});
  if (version.missing) return failed(`${cargo} was not found`, INSTALL_RUST);
  const needed = /^rust-version = "([\d.]+)"/m.exec(
    readFileSync(join(root, 'Cargo.toml'), 'utf8'),
  )?.[1];
  const found = /^cargo (\d+\.\d+(?:\.\d+)?)/m.exec(version.stdout)?.[1];
  if (version.code !== 0 || found === undefined)
    return failed(`${cargo} does not run: ${lastLine(version.stderr)}`, INSTALL_RUST);
  if (needed !== undefined && isOlder(found, needed))
    return failed(
      `cargo ${found} is older than ${needed}`,
      `install Rust ${needed} or newer (https://rustup.rs)`,
    );
  return undefined;
}

/** What cargo's output says about a failed build. */
function explain({ code, signal, stderr }) {
  const linker = /linker `([^`]+)` not found/.exec(stderr)?.[1];
  if (linker !== undefined)
    return failed(
      `the linker ${linker} was not found`,
      'install a C toolchain (the package gcc or build-essential)',
    );
  const error = stderr.split('\n').find((line) => /^error\b/.test(line)) ?? lastLine(stderr);
  const how = signal === null ? `status ${code}` : `signal ${signal}`;
  const reason = `cargo build failed (${how}): ${error}`;
  if (
    /failed to (download|get)|could not resolve|unable to update registry|spurious network/i.test(
      stderr,
    )
  )
    return failed(reason, 'see that cargo reaches its registry, then build again');
  return failed(reason, 'run `cargo build --release` in the folder native/ to see all of it');
}

/** The path of the library that cargo's JSON messages name. */
function libraryIn(stdout) {
  for (const line of stdout.split('\n')) {
    if (!line.startsWith('{')) continue;
    const message = JSON.parse(line);
    if (message.reason !== 'compiler-artifact' || message.target.name !== 'hostgw_addon') continue;
    const library = message.filenames.find((name) => name.endsWith('.so'));
    if (library !== undefined) return library;
  }
  return undefined;
}

/** One number for everything that the library is built from. */
function hashOf(root) {
  const hash = createHash('sha256').update(`${process.platform} ${process.arch}\n`);
  for (const path of sourcesIn(root))
    hash.update(`${path}\n`).update(readFileSync(join(root, path)));
  return hash.digest('hex').slice(0, 32);
}

function sourcesIn(root) {
  const found = ['Cargo.toml', 'Cargo.lock'];
  for (const crate of ['rtnetlink', 'addon']) {
    for (const path of readdirSync(join(root, crate), { recursive: true })) {
      if (/\.(rs|toml)$/.test(path)) found.push(join(crate, path));
    }
  }
  return found.sort();
}

/** Whether the file is a whole library that carries the marker of these sources (native/addon/src/lib.rs). */
function isBuiltFrom(file, sources) {
  if (!existsSync(file) || !statSync(file).isFile()) return false;
  const bytes = readFileSync(file);
  if (!bytes.includes(`hostgw-sources:${sources}`)) return false;
  // The section table is the last thing in an ELF file (man elf): a file that is cut short has lost it.
  const is64Little = bytes[4] === 2 && bytes[5] === 1;
  if (!is64Little) return true;
  const end = Number(bytes.readBigUInt64LE(40)) + bytes.readUInt16LE(58) * bytes.readUInt16LE(60);
  return end <= bytes.length;
}

function isOlder(found, needed) {
  const [a, b] = [found, needed].map((text) => text.split('.').map(Number));
  for (let part = 0; part < 3; part += 1) {
    const difference = (a[part] ?? 0) - (b[part] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return false;
}

function run(file, args, cwd, variables) {
  return new Promise((resolve) => {
    const child = spawn(file, args, {
      cwd,
      env: { ...env, ...variables },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    // spawn's own timeout is not cleared if the program cannot be started, and would hold this process that long.
    const timer = setTimeout(() => child.kill(), BUILD_TIMEOUT_MS);
    const said = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr']) {
      child[name].setEncoding('utf8').on('data', (text) => {
        said[name] += text;
      });
    }
    child.on('error', (error) => {
      clearTimeout(timer);
      resolve({
        ...said,
        stderr: error.message,
        code: null,
        signal: null,
        missing: error.code === 'ENOENT',
      });
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ ...said, code, signal, missing: false });
    });
  });
}

const lastLine = (text) => text.trim().split('\n').at(-1) || 'it said nothing';

const failed = (reason, cure) => ({ ok: false, reason, cure });

if (argv[1] !== undefined && import.meta.url === pathToFileURL(argv[1]).href) {
  const result = await buildNative({ log: (sentence) => console.log(sentence) });
  if (!result.ok) {
    console.error(
      `The native route driver was not built: ${result.reason}. To have it, ${result.cure}.`,
    );
    exit(1);
  }
}
