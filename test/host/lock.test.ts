import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { acquireLock, lockHolder } from '../../src/host/index.ts';
import { needs } from '../support/needs.ts';
import { until } from '../support/until.ts';
import { child, ended, source } from './child.ts';

let names = 0;
/** Tests may run twice at once in one namespace. */
const fresh = (): string => `test-${process.pid}-${++names}`;
const take = (name: string): string =>
  `import { acquireLock } from '${source('host/lock.ts')}';
   const { kind, heldBy } = await acquireLock(${JSON.stringify(name)});
   console.log(JSON.stringify({ kind, heldBy }));`;
const holdFor = (name: string): string => `${take(name)} setInterval(() => {}, 1000);`;

describe('the lock', () => {
  test('is for one; the second learns who has it, and may have it afterwards', async () => {
    const name = fresh();
    const first = await acquireLock(name);
    assert.equal(first.kind, 'held');
    assert.deepEqual(await acquireLock(name), { kind: 'taken', heldBy: process.pid });
    if (first.kind === 'held') await first.release();
    const again = await acquireLock(name);
    assert.equal(again.kind, 'held');
    if (again.kind === 'held') await again.release();
  });

  test('goes with its holder on kill -9, and ten who want it at once get it once', async () => {
    const name = fresh();
    const holder = child(holdFor(name));
    await once(holder.stdout, 'data');
    assert.deepEqual(await acquireLock(name), { kind: 'taken', heldBy: holder.pid });
    holder.kill('SIGKILL');
    await once(holder, 'exit');
    const all = await Promise.all(Array.from({ length: 10 }, () => acquireLock(name)));
    const held = all.filter(({ kind }) => kind === 'held');
    assert.equal(held.length, 1);
    assert.ok(all.every((lock) => lock.kind === 'held' || lock.heldBy === process.pid));
    for (const lock of held) if (lock.kind === 'held') await lock.release();
  });

  test('does not keep its process alive', async () => {
    const { code, stdout } = await ended(child(take(fresh())));
    assert.equal(code, 0);
    assert.deepEqual(JSON.parse(stdout), { kind: 'held' });
  });

  test('is per network namespace', { skip: needs('root', 'unshare') }, async () => {
    const name = fresh();
    const lock = await acquireLock(name);
    const { stdout } = await ended(child(take(name), ['unshare', '--net']));
    assert.deepEqual(JSON.parse(stdout), { kind: 'held' });
    if (lock.kind === 'held') await lock.release();
  });

  test('has a holder whose pid is proven by its open socket, whatever the socket says', async () => {
    const name = fresh();
    assert.deepEqual(await lockHolder(name), { kind: 'none' });
    const holder = child(holdFor(name));
    await once(holder.stdout, 'data');
    assert.deepEqual(await lockHolder(name), { kind: 'held', pid: holder.pid });
    assert.deepEqual(await lockHolder(name.slice(0, -1)), { kind: 'none' });
    holder.kill('SIGKILL');
    await once(holder, 'exit');
    assert.deepEqual(await lockHolder(name), { kind: 'none' });
    const liar = createServer((socket) => socket.end('1\n'));
    liar.listen({ path: `\0hostgw/${name}` });
    await until('it listens', () => liar.listening);
    assert.deepEqual(await acquireLock(name), { kind: 'taken', heldBy: 1 });
    assert.deepEqual(await lockHolder(name), { kind: 'held', pid: process.pid });
    liar.close();
  });

  test('has a holder without a pid where its process cannot be seen', async () => {
    const name = fresh();
    const lock = await acquireLock(name);
    // A proc file system that shows the sockets of this namespace and no process.
    const proc = mkdtempSync(join(tmpdir(), 'hostgw-proc-'));
    mkdirSync(join(proc, 'net'));
    writeFileSync(join(proc, 'net', 'unix'), readFileSync('/proc/net/unix'));
    assert.deepEqual(await lockHolder(name, proc), { kind: 'held', pid: undefined });
    rmSync(proc, { recursive: true });
    if (lock.kind === 'held') await lock.release();
  });

  for (const [what, answer] of [
    ['says nothing', ''],
    ['talks nonsense', 'x'.repeat(100)],
    ['claims no number', '12ab\n'],
  ] as const) {
    test(`a stranger who holds the name and ${what} is no pid`, async () => {
      const name = fresh();
      const stranger = createServer((socket) => {
        socket.on('error', () => {});
        socket.write(answer || '');
      });
      stranger.listen({ path: `\0hostgw/${name}` });
      await until('it listens', () => stranger.listening);
      assert.deepEqual(await acquireLock(name), { kind: 'taken', heldBy: undefined });
      stranger.close();
    });
  }
});
