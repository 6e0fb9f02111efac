// What `npm run check` runs, in order; each is one line of its report. Extend the list here.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { findProgram, ROOT } from './common.mjs';

const bin = (name) => join(ROOT, 'node_modules', '.bin', name);
const manifest = join(ROOT, 'native', 'Cargo.toml');

/** Why the Rust checks cannot run; undefined if they can. `part` is the cargo subcommand they need. */
const noCargo = (part) => () => {
  if (!existsSync(manifest)) return 'there is no native/Cargo.toml';
  if (!findProgram('cargo')) return 'cargo is not installed';
  return findProgram(`cargo-${part}`) ? undefined : `cargo ${part} is not installed`;
};

export const CHECKS = ({ bun }) => [
  { name: 'types', command: [bin('tsc'), '--noEmit', '-p', '.'] },
  { name: 'biome', command: [bin('biome'), 'check', '--diagnostic-level=warn', '.'] },
  { name: 'knip', command: [bin('knip')] },
  {
    name: 'house style and import directions',
    command: [bun, 'test', 'test/tidy'],
    skip: () => (existsSync(join(ROOT, 'test', 'tidy')) ? undefined : 'there is no test/tidy'),
  },
  {
    name: 'rustfmt',
    command: ['cargo', 'fmt', '--all', '--check', '--manifest-path', manifest],
    skip: noCargo('fmt'),
  },
  {
    name: 'clippy',
    command: [
      ...['cargo', 'clippy', '--quiet', '--workspace', '--all-targets', '--locked'],
      ...['--manifest-path', manifest, '--', '-D', 'warnings'],
    ],
    skip: noCargo('clippy'),
  },
];
