// What the scripts share: where the project is, how they speak, what is on PATH.
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

/** One calm line; to stderr, so that the output of what is run stays its own. */
export const say = (line) => process.stderr.write(`hostgw: ${line}\n`);

/** Full path of a program on PATH or in the sbin folders, which an ordinary user's PATH lacks. */
export function findProgram(name) {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  return folders
    .filter(Boolean)
    .map((folder) => join(folder, name))
    .find(isProgram);
}

export function isProgram(path) {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
