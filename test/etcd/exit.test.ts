/** A program that used etcd ends by itself once the session is closed, on each runtime. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { run } from '../../src/core/index.ts';
import { startEtcd, type TestEtcd } from '../support/etcd.ts';
import { needs } from '../support/needs.ts';

const program = fileURLToPath(new URL('./smoke.ts', import.meta.url));
const bin = (name: string): string =>
  fileURLToPath(new URL(`../../node_modules/.bin/${name}`, import.meta.url));

describe('a program that closes its session', { skip: needs('etcd') ?? false }, () => {
  let server: TestEtcd;
  before(async () => {
    server = await startEtcd();
  });
  after(() => server.stop());

  for (const [name, args] of [
    ['bun', ['run']],
    ['deno', ['run', '-A']],
    ['node', []],
  ] as const) {
    const skip = existsSync(bin(name)) ? false : `needs ${name}`;
    test(`lists, watches, writes, renews and ends by itself on ${name}`, {
      skip,
      timeout: 180_000,
    }, async () => {
      const words = [...args, program, server.endpoint, name];
      const { code, stdout, stderr } = await run(bin(name), words, { timeoutMs: 60_000 });
      assert.equal(`${stdout}${stderr}`, 'done\n');
      assert.equal(code, 0);
    });

    test(`ends by itself on ${name} also when etcd is not there`, {
      skip,
      timeout: 180_000,
    }, async () => {
      const words = [...args, program, 'http://127.0.0.1:1', name];
      const { code, stdout } = await run(bin(name), words, { timeoutMs: 60_000 });
      assert.match(stdout, /^etcd at http:\/\/127\.0\.0\.1:1 refused the connection/);
      assert.equal(code, 0);
    });
  }
});
