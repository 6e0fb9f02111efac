/**
 * Files that are written whole or not at all, and survive a power cut. One that cannot be read as what it should be is
 * set aside, never overwritten unseen.
 */
import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** What to do with a damaged file: rename it, or only say so. */
export type OnDamage = 'set-aside' | 'leave';

/** The file was renamed to `movedTo`, or could not be (undefined). */
export interface DamagedFile {
  readonly kind: 'damaged';
  readonly reason: string;
  readonly movedTo: string | undefined;
}

export type LoadedFile<T> =
  | { readonly kind: 'read'; readonly content: T }
  | { readonly kind: 'none' }
  | DamagedFile;

/**
 * Reads a file; `parse` gives what it holds, or as a text what is wrong with it. A damaged one is renamed to
 * `<file>.damaged`, or left; where it may be renamed, what a killed writer left half-written goes too. Rejects if it
 * cannot be read at all.
 */
export async function loadFile<T extends object>(
  file: string,
  maxBytes: number,
  parse: (text: string) => T | string,
  onDamage: OnDamage,
): Promise<LoadedFile<T>> {
  if (onDamage === 'set-aside') await removeHalves(file);
  let content: T | string;
  try {
    const { size } = await stat(file);
    content = size > maxBytes ? `has ${size} bytes, too many` : parse(await readFile(file, 'utf8'));
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return { kind: 'none' };
    throw error;
  }
  if (typeof content !== 'string') return { kind: 'read', content };
  const movedTo = onDamage === 'leave' ? undefined : await setAside(file);
  return { kind: 'damaged', reason: `${file} ${content}`, movedTo };
}

async function removeHalves(file: string): Promise<void> {
  const dir = dirname(file);
  const names = await readdir(dir).catch(() => []);
  const isHalf = (name: string): boolean =>
    name.startsWith(`${basename(file)}.`) && /\.\d+\.\d+\.tmp$/.test(name);
  for (const name of names.filter(isHalf)) await rm(join(dir, name)).catch(() => {});
}

async function setAside(file: string): Promise<string | undefined> {
  const movedTo = `${file}.damaged`;
  return rename(file, movedTo).then(
    () => movedTo,
    () => undefined,
  );
}

/** Keeps the temporary files of two writes at once apart. */
let writes = 0;

/**
 * Replaces the file `name` in `dir`, which is made if need be. When it resolves, the new content survives a power cut;
 * when it rejects, the old one is there.
 */
export async function replaceFile(
  dir: string,
  name: string,
  content: string | Uint8Array,
): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o755 });
  writes += 1;
  const temporary = join(dir, `${name}.${process.pid}.${writes}.tmp`);
  try {
    const handle = await open(temporary, 'wx', 0o644);
    try {
      await handle.writeFile(content);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, join(dir, name));
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    throw error;
  }
  await syncFolder(dir);
}

/** When it resolves, there is no file `name` in `dir`, also after a power cut. */
export async function removeFile(dir: string, name: string): Promise<void> {
  try {
    await rm(join(dir, name));
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return;
    throw error;
  }
  await syncFolder(dir);
}

/** A name is on disk, or gone from it, only when its directory is. */
async function syncFolder(dir: string): Promise<void> {
  const folder = await open(dir, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isErrno = (error: unknown, code: string): boolean =>
  error instanceof Error && 'code' in error && error.code === code;
