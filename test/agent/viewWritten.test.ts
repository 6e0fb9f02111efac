/** When the view goes to disk. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SUBNETS } from '../support/agentWorld.ts';
import { SHORT, saved, TTL_MS } from '../support/savedWorld.ts';

describe('the view on disk', () => {
  test('is written at most every half minute, whatever changes, and not at all while nothing does', async () => {
    const { world, host } = await saved(2);
    const { machine } = host;
    const before = machine.viewWrites;
    for (let second = 0; second < 120; second += 1) {
      world.etcd.put(`${SUBNETS}10.100.200.0-24`, `{"PublicIP":"10.10.10.${150 + (second % 9)}"}`);
      await world.run(1_000);
    }
    const written = machine.viewWrites - before;
    assert.ok(written >= 3 && written <= 4, `${written} times in two minutes`);
    await world.run(60_000);
    const idle = machine.viewWrites;
    await world.run(300_000);
    assert.equal(machine.viewWrites, idle);
    assert.ok(machine.view?.entries.some(({ key }) => key === `${SUBNETS}10.100.200.0-24`));
    await world.close();
  });

  test('says after a long time without a change still when etcd last had our key', async () => {
    const { world, host } = await saved(2, SHORT);
    await world.run(5 * TTL_MS);
    const age = world.clock.wall() - (host.machine.view?.confirmedAt ?? 0);
    assert.ok(age < TTL_MS, `${age} ms`);
    await world.close();
  });

  test('is written at a clean stop, with what the last half minute brought', async () => {
    const { world, host } = await saved(2);
    const comes = world.agent({ address: '10.10.10.120' });
    await world.until('all know', () => comes.ready && world.converged);
    await host.stop();
    assert.ok(host.machine.view?.entries.some(({ key }) => key === comes.key));
    await world.close();
  });

  test('keeps the subnets that left across restarts', async () => {
    const { world, hosts, host } = await saved(3);
    const gone = hosts.at(-1);
    assert.ok(gone !== undefined);
    await gone.stop();
    world.etcd.delete(gone.key);
    await world.until('it is noticed', () => world.converged);
    await host.stop();
    const departed = [`${gone.key.slice(SUBNETS.length)} ${gone.address}`];
    assert.deepEqual(host.machine.view?.departed, departed);
    host.start();
    await world.until('it is back', () => world.converged);
    world.etcd.put(`${SUBNETS}10.100.200.0-24`, '{"PublicIP":"10.10.10.150"}');
    await world.run(1_000);
    await host.stop();
    assert.ok(host.machine.view.entries.some(({ key }) => key.endsWith('/10.100.200.0-24')));
    assert.deepEqual(host.machine.view.departed, departed);
    await world.close();
  });

  test('that cannot be written is a condition, and nothing else; it is tried again', async () => {
    const { world, host } = await saved(2);
    host.machine.diskTrouble = 'no space left on device';
    world.etcd.put(`${SUBNETS}10.100.200.0-24`, '{"PublicIP":"10.10.10.150"}');
    await world.until('it is said', () => /"view-file".*no space left/.test(host.readyz()));
    host.machine.diskTrouble = undefined;
    await world.until('all is well', () => !/"view-file"/.test(host.readyz()));
    await world.close();
  });

  test('that was never there costs nothing but time', async () => {
    const { world, host } = await saved(3);
    const writes = host.writes();
    await host.kill();
    host.machine.view = undefined;
    host.start();
    await world.until('ready', () => world.converged);
    assert.deepEqual(host.writes(), writes);
    await world.close();
  });
});
