/** docs/failures.md names a test for each failure; each of them is there. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const top = fileURLToPath(new URL('../..', import.meta.url));
const sections = readFileSync(join(top, 'docs', 'failures.md'), 'utf8')
  .split(/^### /m)
  .slice(1);

test('every failure in docs/failures.md names a test, and every test that it names is there', () => {
  assert.ok(sections.length >= 20);
  for (const section of sections) {
    const [title = ''] = section.split('\n');
    const named = [...section.matchAll(/^- \*\*Test\*\* `([^`]+)`: (.+)$/gm)];
    assert.ok(named.length > 0, `"${title}" names no test`);
    for (const [, file = '', name = ''] of named) {
      const path = join(top, file);
      assert.ok(existsSync(path), `"${title}" names ${file}, which is not there`);
      assert.ok(
        readFileSync(path, 'utf8').includes(name),
        `"${title}" names "${name}", which ${file} does not have`,
      );
    }
  }
});
