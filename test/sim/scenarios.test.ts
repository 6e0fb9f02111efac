/** Every file of test/scenarios happens as it says; `UPDATE=1` has them say what happens. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { replay } from './scenario.ts';

const FOLDER = fileURLToPath(new URL('../scenarios/', import.meta.url));
const { UPDATE } = process.env;

describe('scenario', () => {
  for (const file of readdirSync(FOLDER).filter((name) => name.endsWith('.txt')))
    test(file.replace(/\.txt$/, ''), async () => {
      const path = FOLDER + file;
      const told = readFileSync(path, 'utf8');
      const happens = await replay(told);
      if (UPDATE === undefined) assert.equal(happens, told, `UPDATE=1 rewrites ${file}`);
      else if (happens !== told) writeFileSync(path, happens);
    });
});
