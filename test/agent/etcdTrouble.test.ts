import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type AgentHost, AgentWorld, CONFIG, CONFIG_KEY, SUBNETS } from '../support/agentWorld.ts';

const first = (hosts: readonly AgentHost[]): AgentHost => {
  const [host] = hosts;
  assert.ok(host !== undefined);
  return host;
};

const lines = (host: AgentHost, about: RegExp): string[] =>
  host.log.lines.filter((line) => !line.startsWith('debug ') && about.test(line));

describe('etcd that is wiped', () => {
  for (const count of [2, 3, 6]) {
    test(`takes no route away from ${count} hosts, before or after the config is back, nor a subnet`, async () => {
      const world = new AgentWorld();
      const hosts = await world.fleet(count);
      const before = hosts.map((host) => [host.subnet, host.routes()]);
      const writes = hosts.map((host) => host.writes());
      world.etcd.wipe();
      await world.run(120_000);
      assert.deepEqual(
        hosts.map((host) => [host.subnet, host.routes()]),
        before,
      );
      assert.deepEqual(world.etcd.under(SUBNETS), [], 'nobody puts a key without a config');
      world.etcd.put(CONFIG_KEY, CONFIG);
      await world.until('all keys are back', () => world.etcd.under(SUBNETS).length === count);
      await world.until('all is well', () =>
        hosts.every((host) => /"conditions":\[\]/.test(host.readyz())),
      );
      await world.run(660_000);
      assert.deepEqual(
        hosts.map((host) => [host.subnet, host.routes()]),
        before,
      );
      assert.deepEqual(
        hosts.map((host) => host.writes()),
        writes,
      );
      await world.close();
    });
  }

  test('takes no route away where its config is back before anyone looks', async () => {
    const world = new AgentWorld();
    const hosts = await world.fleet(2);
    const writes = hosts.map((host) => host.writes());
    world.etcd.wipe();
    world.etcd.put('/elsewhere/1', 'x');
    world.etcd.put(CONFIG_KEY, CONFIG);
    await world.until('all keys are back', () => world.etcd.under(SUBNETS).length === 2);
    await world.run(660_000);
    assert.ok(world.converged);
    assert.deepEqual(
      hosts.map((host) => host.writes()),
      writes,
    );
    await world.close();
  });
});

describe('etcd that was wiped and set up anew, while a host was cut off from it,', () => {
  test('cannot make that host take away routes of peers that are not back yet', async () => {
    const world = new AgentWorld();
    const hosts = await world.fleet(3);
    const [host, peer, late] = hosts;
    assert.ok(host !== undefined && peer !== undefined && late !== undefined);
    const writes = host.writes();
    host.etcd.setLine('refused');
    await late.stop();
    // The config comes first, as it did before: with the same revision.
    world.etcd.wipe();
    world.etcd.put(CONFIG_KEY, CONFIG);
    await world.until('one peer is back', () => world.etcd.under(SUBNETS).length === 1);
    for (let i = 0; i < 10; i += 1) world.etcd.put('/elsewhere', String(i));
    host.etcd.setLine('up');
    await world.until('the host is back', () => world.etcd.under(SUBNETS).length === 2);
    await world.run(60_000);
    assert.deepEqual(host.writes(), writes);
    assert.match(host.readyz(), /"sweep-held"/);
    late.start();
    await world.until('all is well', () => /"conditions":\[\]/.test(host.readyz()));
    assert.deepEqual(host.writes(), writes);
    await world.close();
  });
});

describe('etcd that gives no answer', () => {
  for (const line of ['silent', 'refused'] as const) {
    test(`leaves the kernel as it is while it is ${line}, and the agent is not ready until it is back`, async () => {
      const world = new AgentWorld();
      const hosts = await world.fleet(3);
      const host = first(hosts);
      const { writes, subnet } = { writes: host.writes(), subnet: host.subnet };
      host.etcd.setLine(line);
      const gone = hosts.at(-1);
      assert.ok(gone !== undefined);
      await gone.stop();
      world.etcd.delete(gone.key);
      await world.run(600_000);
      assert.deepEqual([host.writes(), host.subnet, host.ready], [writes, subnet, false]);
      assert.match(host.readyz(), /"code":"etcd"/);
      assert.ok(lines(host, /^warn etcd/).length <= 2, host.log.lines.join('\n'));

      host.etcd.setLine('up');
      await world.until('the agent has caught up', () => world.converged);
      assert.equal(host.subnet, subnet);
      await world.close();
    });
  }

  test('is waited for at a start, and the kernel is left alone meanwhile', async () => {
    const world = new AgentWorld();
    const host = first(await world.fleet(3));
    await host.stop();
    const writes = host.writes();
    host.etcd.setLine('refused');
    host.start();
    await world.run(600_000);
    assert.equal(host.ready, false);
    host.etcd.setLine('up');
    await world.until('the agent is ready', () => world.converged);
    assert.deepEqual(host.writes(), writes);
    await world.close();
  });
});
