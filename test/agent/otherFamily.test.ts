/** A network of hosts that run gets a family, or loses one: what each has in the other one stays. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type AgentHost, AgentWorld, CONFIG, CONFIG_KEY, SUBNETS } from '../support/agentWorld.ts';

const IPV6 = '"EnableIPv6":true,"IPv6Network":"fd00:100::/48","Backend":{"Type":"host-gw"}}';
const DUAL = `{"Network":"10.100.0.0/16",${IPV6}`;
const ONLY6 = `{"EnableIPv4":false,${IPV6}`;

/** Three hosts of an IPv4 network that have IPv6 addresses too, which is then dual-stack. */
async function widened() {
  const world = new AgentWorld();
  const hosts = await world.fleet(3);
  for (const [i, one] of hosts.entries())
    one.kernel.addAddress(one.device, `fd00:9::${101 + i}/64`);
  const before = hosts.map(four);
  world.etcd.put(CONFIG_KEY, DUAL);
  await world.run(10_000);
  return { world, hosts, before };
}

async function restart(world: AgentWorld, one: AgentHost): Promise<void> {
  await one.stop();
  one.start();
  await world.until(`${one.name} is ready`, () => one.ready);
}

/** Its IPv4 subnet. */
const four = (one: AgentHost): string | undefined => one.subnet?.split(' and ')[0];

const subnets = (world: AgentWorld): string[] =>
  world.etcd.under(SUBNETS).map(({ key }) => key.slice(SUBNETS.length));

describe('a network that becomes dual-stack', () => {
  test('changes nothing while hosts run, and says that a restart would', async () => {
    const { world, hosts, before } = await widened();
    assert.deepEqual(hosts.map(four), before);
    for (const one of hosts)
      assert.match(one.log.lines.join('\n'), /no longer contains our subnet .* until a restart/);
    await world.close();
  });

  test('leaves each host its IPv4 subnet when it is restarted, one after the other, and no peer a gap', async () => {
    const { world, hosts, before } = await widened();
    for (const one of hosts) await restart(world, one);
    await world.until('two routes to each peer', () =>
      hosts.every((one) => one.routes().length === 4),
    );
    assert.deepEqual(hosts.map(four), before);
    assert.deepEqual(
      hosts.flatMap(({ gaps }) => gaps),
      [],
    );
    const names = subnets(world);
    assert.equal(names.length, 3, 'no key of before is left');
    // The n-th IPv4 subnet has the n-th IPv6 subnet beside it.
    for (const name of names) {
      const [, third, group] =
        /^10\.100\.(\d+)\.0-24&fd00:100:0:([0-9a-f]+)::-64$/.exec(name) ?? [];
      assert.equal(Number(third).toString(16), group, name);
    }
    const written = hosts.map((one) => one.writes().length);
    for (const one of hosts) await restart(world, one);
    assert.deepEqual(
      hosts.map((one) => one.writes().length),
      written,
      'it is done once',
    );
    await world.close();
  });

  test('takes another partner where the first one is taken, and keeps IPv4 all the same', async () => {
    const { world, hosts, before } = await widened();
    const [one] = hosts;
    assert.ok(one !== undefined);
    const third = Number(before[0]?.split('.')[2]).toString(16);
    const value = '{"PublicIP":"0.0.0.0","PublicIPv6":"fd00:9::77","BackendType":"host-gw"}';
    world.etcd.put(`${SUBNETS}0.0.0.0-0&fd00:100:0:${third}::-64`, value);
    await restart(world, one);
    assert.equal(four(one), before[0]);
    assert.ok(!one.key.includes(`:${third}::`), one.key);
    await world.close();
  });

  test('ends in one key with the same IPv4 subnet though an answer is lost, or the agent killed', async () => {
    for (const what of ['request', 'answer', 'agent'] as const) {
      const { world, hosts, before } = await widened();
      const [one] = hosts;
      assert.ok(one !== undefined);
      await one.stop();
      one.etcd.lose('transact', what === 'request' ? 'request' : 'answer');
      one.start();
      if (what === 'agent') {
        await world.until('it has meant its new key', () => one.machine.state?.held === false);
        await one.kill();
        one.start();
      }
      await world.until('it is ready', () => one.ready);
      assert.equal(four(one), before[0], what);
      assert.equal(subnets(world).length, 3, what);
      assert.match(one.key, /10\.100\.\d+\.0-24&fd00:100:/);
      await world.close();
    }
  });

  test('a key that somebody changed meanwhile is looked at again, not deleted', async () => {
    const { world, hosts, before } = await widened();
    const [one] = hosts;
    assert.ok(one !== undefined);
    const { key } = one;
    await one.stop();
    one.start();
    // Written anew, under the same etcd lease, before the agent has asked: its transaction meets another revision.
    const [entry] = world.etcd.under(key);
    assert.ok(entry !== undefined);
    await world.until('it is about to ask', () => one.machine.state?.held === false);
    world.etcd.put(key, entry.value, entry.lease);
    await world.until('it is ready', () => one.ready);
    assert.equal(four(one), before[0]);
    assert.equal(subnets(world).length, 3);
    await world.close();
  });
});

describe('a dual-stack network that loses a family', () => {
  for (const [family, config, half] of [
    ['IPv6', CONFIG, 0],
    ['IPv4', ONLY6, 1],
  ] as const) {
    test(`${family}: each host keeps its other subnet at its restart`, async () => {
      const { world, hosts } = await widened();
      for (const one of hosts) await restart(world, one);
      const before = hosts.map(({ key }) => key.slice(SUBNETS.length).split('&')[half]);
      world.etcd.put(CONFIG_KEY, config);
      await world.run(5_000);
      for (const one of hosts) await restart(world, one);
      await world.until('one route to each peer', () =>
        hosts.every((one) => one.routes().length === 2),
      );
      const now = hosts.map(({ key }) => key.slice(SUBNETS.length).split('&')[half]);
      assert.deepEqual(now, before);
      assert.equal(subnets(world).length, 3);
      await world.close();
    });
  }
});
