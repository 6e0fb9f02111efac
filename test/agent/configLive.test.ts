/** The network config changes while agents run, or is lost and set up anew: what counts at once, and what is held. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type AgentHost, AgentWorld, CONFIG, CONFIG_KEY, SUBNETS } from '../support/agentWorld.ts';

const config = (fields: object): string =>
  JSON.stringify({ Network: '10.100.0.0/16', ...fields, Backend: { Type: 'host-gw' } });
const keys = (world: AgentWorld): string[] => world.etcd.under(SUBNETS).map(({ key }) => key);
const subnetsOf = (hosts: readonly AgentHost[]) => hosts.map(({ subnet }) => subnet);

async function fleet(count: number) {
  const world = new AgentWorld(1, { leaseTtlSeconds: 60 });
  const hosts = await world.fleet(count);
  const [host] = hosts;
  assert.ok(host !== undefined);
  return { world, hosts, host, writes: hosts.map((each) => each.writes()) };
}

describe('a config that keeps our subnet', () => {
  for (const [what, text] of [
    ['with nftables asked for', config({ EnableNFTables: true })],
    ['with a field that nobody knows', config({ Colour: 'blue' })],
    ['with its defaults spelled out', config({ SubnetLen: 24, SubnetMin: '10.100.1.0' })],
    ['with keys in another case', '{"network":"10.100.0.0/16","backend":{"type":"HOST-GW"}}'],
  ] as const)
    test(`${what} is taken without a word, a write or a restart`, async () => {
      const { world, hosts, host, writes } = await fleet(3);
      const before = [subnetsOf(hosts), keys(world)];
      world.etcd.put(CONFIG_KEY, text);
      await world.run(120_000);
      assert.deepEqual([subnetsOf(hosts), keys(world)], before);
      assert.deepEqual(
        hosts.map((each) => each.writes()),
        writes,
      );
      assert.match(host.readyz(), /"conditions":\[\]/);
      await world.close();
    });

  test('with its bounds moved leaves whoever is inside alone; a new host gets a subnet between them', async () => {
    const { world, hosts, host } = await fleet(3);
    const before = subnetsOf(hosts);
    const numbers = before.map((subnet) => Number(subnet?.split('.')[2]));
    const max = Math.max(...numbers) + 1;
    world.etcd.put(
      CONFIG_KEY,
      config({ SubnetMin: `10.100.${Math.min(...numbers)}.0`, SubnetMax: `10.100.${max}.0` }),
    );
    await world.run(10_000);
    assert.match(host.readyz(), /"conditions":\[\]/);
    const late = world.agent({ address: '10.10.10.150' });
    await world.until('all have all routes', () => late.ready && world.converged);
    assert.ok(Number(late.subnet?.split('.')[2]) <= max);
    assert.deepEqual(subnetsOf(hosts), before);
    await world.close();
  });
});

describe('a config that does not keep our subnet', () => {
  for (const [what, text] of [
    ['with other bounds', config({ SubnetMin: '10.100.254.0', SubnetMax: '10.100.254.0' })],
    ['with another subnet length', config({ SubnetLen: 25 })],
    ['with another network', config({ Network: '10.200.0.0/16' })],
    ['of another backend', '{"Network":"10.100.0.0/16","Backend":{"Type":"vxlan"}}'],
  ] as const)
    test(`${what} is held off and said; a key that is lost waits for one that keeps it; the old config ends it`, async () => {
      const { world, hosts, host, writes } = await fleet(3);
      const before = [subnetsOf(hosts), keys(world)];
      world.etcd.put(CONFIG_KEY, text);
      await world.run(30_000);
      assert.match(host.readyz(), /"config"/);
      assert.equal(host.ready, true);
      world.etcd.delete(host.key);
      await world.run(60_000);
      assert.deepEqual(subnetsOf(hosts), before[0]);
      assert.equal(keys(world).length, hosts.length - 1);
      world.etcd.put(CONFIG_KEY, CONFIG);
      await world.until('all is well', () => /"conditions":\[\]/.test(host.readyz()));
      await world.until('the key is back', () => keys(world).length === hosts.length);
      assert.deepEqual([subnetsOf(hosts), keys(world)], before);
      assert.deepEqual(host.writes(), writes[0]);
      await world.close();
    });

  test('says what a restart would do, and a restart does it, under another etcd lease', async () => {
    const { world, host } = await fleet(1);
    const before = world.etcd.store.get(host.key);
    const elsewhere = config({ Network: '10.200.0.0/16' });
    world.etcd.put(CONFIG_KEY, elsewhere);
    await world.run(5_000);
    const said = host.log.lines.filter((line) => /a restart would pick a new subnet/.test(line));
    assert.equal(said.length, 1, host.log.lines.join('\n'));
    await host.stop();
    host.start();
    await world.until(
      'a new subnet',
      () => host.ready && (host.subnet ?? '').startsWith('10.200.'),
    );
    assert.notEqual(world.etcd.store.get(host.key)?.lease, before?.lease);
    await world.run(90_000);
    assert.deepEqual(keys(world), [host.key], 'the old key ended by itself');
    await world.close();
  });
});

describe('etcd wiped and set up anew', () => {
  for (const [what, stopped] of [
    ['while hosts run', false],
    ['while hosts are stopped', true],
  ] as const)
    test(`${what}: nothing is given up; keys are put again once a config that contains them is there`, async () => {
      const { world, hosts, writes } = await fleet(3);
      const before = [subnetsOf(hosts), keys(world)];
      if (stopped) for (const host of hosts) await host.stop();
      world.etcd.wipe();
      if (stopped) for (const host of hosts) host.start();
      await world.run(30_000);
      assert.deepEqual(keys(world), [], 'no key without a config');
      world.etcd.put(CONFIG_KEY, CONFIG);
      await world.until('all keys are back', () => keys(world).length === 3);
      await world.until('all are ready', () => hosts.every(({ ready }) => ready));
      assert.deepEqual([subnetsOf(hosts), keys(world)], before);
      assert.deepEqual(
        hosts.map((host) => host.writes()),
        writes,
      );
      await world.close();
    });

  test('with another network: held while they run, given up at the next start', async () => {
    const { world, hosts } = await fleet(2);
    const before = subnetsOf(hosts);
    world.etcd.wipe();
    world.etcd.put(CONFIG_KEY, config({ Network: '10.200.0.0/16' }));
    await world.run(120_000);
    assert.deepEqual(subnetsOf(hosts), before);
    for (const host of hosts) {
      await host.stop();
      host.start();
    }
    await world.until('new subnets', () =>
      hosts.every(({ subnet, ready }) => ready && (subnet ?? '').startsWith('10.200.')),
    );
    await world.close();
  });
});

describe('a host cut off from etcd for longer than its lease lives', () => {
  test('keeps its subnet as doubtful, and has its key again when it is back', async () => {
    const { world, hosts, host, writes } = await fleet(3);
    const { key, subnet } = host;
    host.etcd.setLine('silent');
    await world.run(180_000);
    assert.equal(world.etcd.store.get(key), undefined, 'its lease has ended');
    assert.equal(host.subnet, subnet);
    assert.match(host.readyz(), /has not confirmed etcd lease/);
    host.etcd.setLine('up');
    await world.until('its key is back', () => world.etcd.store.get(key) !== undefined, 10_000);
    await world.until('all is well', () => world.converged);
    assert.deepEqual([host.key, host.subnet], [key, subnet]);
    assert.deepEqual(host.writes(), writes[hosts.indexOf(host)]);
    await world.close();
  });

  test('gives it up only on seeing its new owner', async () => {
    const { world, host } = await fleet(2);
    const { key } = host;
    host.etcd.setLine('silent');
    await world.until(
      'its lease has ended',
      () => world.etcd.store.get(key) === undefined,
      120_000,
    );
    world.etcd.put(key, '{"PublicIP":"10.10.10.66","BackendType":"host-gw"}');
    host.etcd.setLine('up');
    await world.until('it sees the new owner', () =>
      /belongs to 10\.10\.10\.66/.test(host.readyz()),
    );
    assert.equal(host.ready, false);
    await world.close();
  });
});
