/** Peers that have a route and do not answer, and the kernel's limit on neighbours: what an agent does, and what it says. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { AgentWorld } from '../support/agentWorld.ts';
import { address } from '../support/leases.ts';

/** A host whose neighbour table is half full with two gateways, and its peers, which all answer. */
async function world(count: number) {
  const all = new AgentWorld();
  const [host, ...peers] = await all.fleet(count);
  const [peer] = peers;
  assert.ok(host !== undefined && peer !== undefined);
  for (const { address: text } of peers) host.kernel.neighbours.answering.add(text);
  await host.stop();
  host.machine.limits = { 4: 4, 6: 4 };
  const kept = () => host.kernel.neighbours.entries().filter((entry) => entry.managed);
  return { all, host, peers, peer, kept };
}

describe('neighbours', () => {
  test('that are few for the kernel are left to it', async () => {
    const { all, host, kept } = await world(2);
    host.start();
    await all.until('it is ready', () => host.ready);
    await all.run(60_000);
    assert.deepEqual(kept(), []);
    assert.deepEqual(host.kernel.neighbours.journal, []);
    await all.close();
  });

  test('that are many are kept, and a peer that leaves takes its entry along', async () => {
    const { all, host, peers, peer, kept } = await world(5);
    const stranger = { address: address('10.10.10.77'), device: host.device, protocol: 42 };
    host.kernel.neighbours.put({ ...stranger, learned: true });
    host.start();
    await all.until('all are kept', () => kept().length === peers.length);
    all.etcd.delete(peer.key);
    await peer.stop();
    await all.until('its entry is gone', () => kept().length === peers.length - 1);
    await all.run(60_000);
    assert.equal(kept().length, peers.length - 1);
    assert.ok(host.kernel.neighbours.entries().some((entry) => entry.protocol === 42));
    await all.close();
  });

  test('outlive the agent, and the next one writes nothing anew', async () => {
    const { all, host, peers, kept } = await world(5);
    host.start();
    await all.until('all are kept', () => kept().length === peers.length);
    await all.run(20_000);
    await host.stop();
    const { journal } = host.kernel.neighbours;
    const before = journal.length;
    host.start();
    await all.until('it is ready', () => host.ready);
    await all.run(60_000);
    assert.deepEqual(journal.slice(before), []);
    assert.equal(kept().length, peers.length);
    await all.close();
  });

  test('of held routes are kept as long as these', async () => {
    const { all, host, peers, kept } = await world(5);
    host.start();
    await all.until('all are kept', () => kept().length === peers.length);
    for (const peer of peers) {
      await peer.stop();
      all.etcd.delete(peer.key);
    }
    await all.run(300_000);
    assert.match(host.readyz(), /sweep-held/);
    assert.equal(kept().length, peers.length);
    await host.stop();
    host.start();
    await all.run(60_000);
    assert.equal(
      kept().length,
      peers.length,
      'nor does an agent that finds them so take them away',
    );
    await all.run(1_200_000);
    assert.deepEqual([host.routes(), kept()], [[], []]);
    await all.close();
  });

  test('that do not answer are shown and said once, and so is their return', async () => {
    const { all, host, peer, kept } = await world(5);
    const { answering } = host.kernel.neighbours;
    answering.delete(peer.address);
    host.start();
    await all.until('it is shown', () => /does not answer: 1 /.test(host.readyz()));
    assert.match(host.readyz(), /"installed":3/);
    assert.match(host.readyz(), /a neighbour that does not answer: 1 \(10\.100\./);
    assert.equal(host.ready, true);
    await all.run(300_000);
    answering.add(peer.address);
    await all.until('it is over', () => /"conditions":\[\]/.test(host.readyz()), 400_000);
    const said = host.log.lines.filter((line) => /neighbour 10\.10\.10\.102/.test(line));
    assert.equal(said.length, 2, said.join('\n'));
    assert.match(
      said[0] ?? '',
      /^warn neighbour 10\.10\.10\.102 does not answer on the link: 10\.100\./,
    );
    assert.match(said[1] ?? '', /^info neighbour 10\.10\.10\.102 answers again/);
    assert.equal(kept().length, 4);
    await all.close();
  });

  test('that come and go all the time are not told of every time', async () => {
    const { all, host, peer } = await world(5);
    const { answering } = host.kernel.neighbours;
    host.start();
    await all.until('it is ready', () => host.ready);
    for (let flap = 0; flap < 60; flap += 1) {
      if (flap % 2 === 0) answering.delete(peer.address);
      else answering.add(peer.address);
      await all.run(10_000);
    }
    const said = host.log.lines.filter((line) => /neighbour 10\.10\.10\.102/.test(line));
    assert.ok(said.length >= 1 && said.length <= 6, `${said.length} lines in 10 minutes`);
    await all.close();
  });

  test('are set again after the carrier was lost', async () => {
    const { all, host, peers, kept } = await world(5);
    host.start();
    await all.until('all are kept', () => kept().length === peers.length);
    host.kernel.setLink(host.device, { carrier: false });
    await all.run(30_000);
    assert.deepEqual(kept(), []);
    assert.doesNotMatch(host.readyz(), /unreachable/);
    host.kernel.setLink(host.device, { carrier: true });
    await all.until('all are kept again', () => kept().length === peers.length, 1_000);
    await all.close();
  });

  test('of a new uplink are kept there, and no longer on the old one', async () => {
    const { all, host, peers, kept } = await world(5);
    host.start();
    await all.until('all are kept', () => kept().length === peers.length);
    host.unplug();
    await all.run(1_000);
    host.plug();
    const there = () => kept().filter((entry) => entry.device === host.device).length;
    await all.until('all are kept on the new device', () => there() === peers.length);
    await all.run(20_000);
    assert.deepEqual(new Set(kept().map(({ device }) => device)), new Set([host.device]));
    await all.close();
  });

  test('of a kernel that cannot keep them are a condition that names the cure, until it is taken', async () => {
    const { all, host, kept } = await world(5);
    host.kernel.neighbours.old = true;
    host.start();
    await all.until('it is said', () => /"code":"neighbours"/.test(host.readyz()));
    assert.match(
      host.readyz(),
      /IPv4 neighbour table of 4, .* \(the kernel does not keep .*\): run sysctl -w net\.ipv4\.neigh\.default\.gc_thresh1=8 net\.ipv4\.neigh\.default\.gc_thresh2=12 net\.ipv4\.neigh\.default\.gc_thresh3=16/,
    );
    await all.until('it is ready all the same', () => host.ready);
    await all.run(10_000);
    assert.deepEqual(
      [kept(), host.kernel.neighbours.entries()],
      [[], []],
      'nothing is left behind',
    );
    host.machine.limits = { 4: 17, 6: 17 };
    await all.until('the condition ends', () => !/"code":"neighbours"/.test(host.readyz()));
    assert.equal(host.log.lines.filter((line) => /neighbours: the peers/.test(line)).length, 1);
    await all.close();
  });
});
