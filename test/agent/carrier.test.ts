/** The order in which a host opens itself: the guard, then the way that it guards, then the word to Docker. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { AgentWorld, CONFIG, CONFIG_KEY } from '../support/agentWorld.ts';
import { reboot, saved } from '../support/savedWorld.ts';

const ORDER = ['firewall', 'firewall stands', 'forwarding', 'subnet-file', 'READY'];
/** Each deed once, where it came first. */
const firsts = (deeds: readonly string[]): string[] => [...new Set(deeds)];

describe('forwarding, subnet file and READY wait for the firewall, however slow its programs are,', () => {
  for (const line of ['refused', 'up'] as const)
    test(`at a boot from disk, etcd ${line}`, async () => {
      const { world, host } = await saved(3);
      await host.kill();
      reboot(host);
      host.machine.firewallMs = 1_000;
      host.etcd.setLine(line);
      host.start();
      await world.until('READY', () => host.machine.deeds.includes('READY'));
      assert.deepEqual(firsts(host.machine.deeds), ORDER);
      await world.close();
    });

  // During the firewall's pause, during its programs, and after them.
  for (const hintAfterMs of [0, 150, 400, 1_500])
    test(`with a link hint ${hintAfterMs} ms after the subnet is held`, async () => {
      const world = new AgentWorld();
      world.etcd.put(CONFIG_KEY, CONFIG);
      const host = world.place({ address: '10.10.10.101' });
      host.machine.firewallMs = 1_000;
      host.start();
      await world.until('held', () => host.subnet !== undefined);
      await world.run(hintAfterMs);
      host.kernel.addLink('docker0');
      await world.run(3_000);
      assert.deepEqual(firsts(host.machine.deeds), ORDER);
      await world.close();
    });

  test('where the uplink changes meanwhile: for the new one', async () => {
    const world = new AgentWorld();
    world.etcd.put(CONFIG_KEY, CONFIG);
    const host = world.place({ address: '10.10.10.101' });
    host.machine.firewallMs = 1_000;
    host.start();
    await world.until('its firewall', () => host.machine.deeds.includes('firewall'));
    host.unplug();
    host.device = host.kernel.addLink('eth1');
    host.kernel.addAddress(host.device, `${host.address}/24`);
    host.routeByDefault();
    await world.until('READY', () => host.machine.deeds.includes('READY'));
    const stands = host.machine.deeds.indexOf('forwarding');
    const before = host.machine.deeds.slice(0, stands);
    assert.equal(before.filter((deed) => deed === 'firewall stands').length, 2);
    assert.equal(host.machine.firewall[1]?.uplink, 'eth1');
    await world.close();
  });
});
