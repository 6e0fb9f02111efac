/** As many hosts as there are subnets start together, on a real etcd; one more waits for the first subnet that is freed. */
import assert from 'node:assert/strict';
import { startEtcd } from '../support/etcd.ts';
import { FIGURES } from '../support/netns.ts';
import { until } from '../support/until.ts';
import { CONFIG_KEY, configOf, Holder, SUBNETS } from './holders.ts';

const WAIT_MS = 60_000;

export async function fillNetwork(count: number): Promise<void> {
  const server = await startEtcd();
  const holders = Array.from({ length: count + 1 }, (_, index) => new Holder(index + 1, server));
  try {
    await server.put(CONFIG_KEY, configOf(count));
    await Promise.all(holders.map((holder) => holder.connect()));
    const [late, ...first] = holders;
    assert.ok(late !== undefined);
    const [begin, cpu] = [performance.now(), process.cpuUsage()];
    for (const holder of first) holder.start();
    await until('all hold', () => first.every(({ subnet }) => subnet !== undefined), WAIT_MS);
    const own = process.cpuUsage(cpu);
    const seconds = (Math.max(...first.map(({ heldAt }) => heldAt)) - begin) / 1000;
    assert.equal(new Set(first.map(({ subnet }) => subnet)).size, count);

    late.start();
    await until('one more is told so', () => late.status?.status === 'full', WAIT_MS);
    assert.match(
      late.status?.sentence ?? '',
      /^network 10\.100\.0\.0\/16 is full: no subnet .* is free; waiting until one is freed$/,
    );
    const left = first.find(({ subnet }) => subnet !== undefined);
    assert.ok(left?.subnet !== undefined);
    left.stop();
    const freed = performance.now();
    await server.delete(SUBNETS + left.subnet.replace('/', '-'));
    await until('the freed one is taken', () => late.subnet !== undefined, WAIT_MS);
    assert.equal(late.subnet, left.subnet);
    process.stdout.write(
      `${FIGURES}${count} holders of ${count} subnets in ${seconds.toFixed(2)} s (${((own.user + own.system) / 1e6).toFixed(2)} s of cpu in this process); the next had the first that was freed after ${(late.heldAt - freed).toFixed(0)} ms\n`,
    );
  } finally {
    for (const holder of holders) holder.stop();
    await server.stop();
  }
}
