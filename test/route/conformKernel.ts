/** Conformance of the kernel rather than of the driver: what makes routes vanish, and where deletes and gateways are lax. */
import assert from 'node:assert/strict';
import { codes } from './conformApply.ts';
import type { WorldCase } from './conformance.ts';
import { add, address, append, FAMILIES, prefix, RIVAL, remove, route } from './samples.ts';
import { HOST_V4, HOST_V6 } from './world.ts';

export function conformKernel(test: WorldCase): void {
  for (const { family, p, other, gw, kernelMetric } of FAMILIES) {
    const v = `IPv${family}`;
    const [second, viaSecond] =
      family === 4 ? ['10.55.0.1/24', '10.55.0.9'] : ['fd55::1/64', 'fd55::9'];

    test(`${v}: a link that goes down takes its routes away, and brings none back`, async (world) => {
      await world.foreignAdd({ prefix: prefix(other), gateway: address(gw), device: world.device });
      await codes(world, add(route(world.device, p, gw)));
      await world.setLink({ up: false });
      assert.deepEqual(await world.list(), []);
      await world.setLink({ up: true });
      assert.deepEqual(await world.list(), []);
    });

    test(`${v}: a route stays when its gateway goes off-link while an address is left`, async (world) => {
      await world.addAddress(second);
      const r = route(world.device, p, viaSecond);
      assert.deepEqual(await codes(world, add(r)), []);
      await world.removeAddress(second);
      assert.deepEqual(await world.list(), [
        `${p} via ${viaSecond} proto 77 metric ${kernelMetric}`,
      ]);
      const refused = family === 4 ? 'ENETUNREACH' : 'EHOSTUNREACH';
      const elsewhere = route(world.device, other, viaSecond);
      assert.deepEqual(await codes(world, add(elsewhere), remove(r)), [`0 ${refused}`]);
    });
  }

  test('IPv4: the last address takes the routes away, IPv6: they stay', async (world) => {
    const routes = FAMILIES.map(({ p, gw }) => route(world.device, p, gw));
    assert.deepEqual(await codes(world, ...routes.map(add)), []);
    await world.removeAddress(HOST_V4);
    await world.removeAddress(HOST_V6);
    assert.deepEqual(await world.list(), ['fd01:1::/64 via fd00::9 proto 77 metric 1024']);
  });

  test('IPv4: a route goes with its preferred source, IPv6: it stays without it', async (world) => {
    await world.addAddress('10.55.0.1/24');
    await world.addAddress('fd55::1/64');
    const v4 = route(world.device, '10.1.0.0/24', '10.10.10.9', { source: address('10.55.0.1') });
    const v6 = route(world.device, 'fd01:1::/64', 'fd00::9', { source: address('fd55::1') });
    assert.deepEqual(await codes(world, add(v4), add(v6)), []);
    await world.removeAddress('10.55.0.1/24');
    await world.removeAddress('fd55::1/64');
    assert.deepEqual(await world.list(), ['fd01:1::/64 via fd00::9 proto 77 metric 1024']);
  });

  test('IPv4: metric 0 in a delete takes the lowest metric of the same protocol and gateway', async (world) => {
    const r = route(world.device, '10.1.0.0/24', '10.10.10.9');
    await codes(world, add({ ...r, metric: 5 }), add({ ...r, metric: 6 }));
    assert.deepEqual(await codes(world, remove(r)), []);
    assert.deepEqual(await world.list(), ['10.1.0.0/24 via 10.10.10.9 proto 77 metric 6']);
  });

  test('IPv4: a route that says the same under another protocol is taken over by append and exact delete', async (world) => {
    const ours = route(world.device, '10.1.0.0/24', '10.10.10.9');
    await world.foreignAdd({ prefix: ours.prefix, gateway: ours.gateway, device: world.device });
    assert.deepEqual(await codes(world, append(ours), remove({ ...ours, protocol: 3 })), []);
    assert.deepEqual(await world.list(), ['10.1.0.0/24 via 10.10.10.9 proto 77 metric 0']);
  });

  test('IPv6: a route that says the same under another protocol cannot be appended to', async (world) => {
    const ours = route(world.device, 'fd01:1::/64', 'fd00::9');
    await world.foreignAdd({ prefix: ours.prefix, gateway: ours.gateway, device: world.device });
    assert.deepEqual(await codes(world, append(ours)), ['0 EEXIST']);
    assert.deepEqual(await world.list(), ['fd01:1::/64 via fd00::9 proto 3 metric 1024']);
  });

  test('IPv4: a rival of the same key that came later stays behind ours, and before ours if it came first', async (world) => {
    const ours = route(world.device, '10.1.0.0/24', '10.10.10.9');
    const rival = {
      prefix: ours.prefix,
      gateway: address('10.10.10.8'),
      device: world.device,
      protocol: RIVAL,
    };
    await world.foreignAdd(rival);
    await codes(world, append(ours));
    const [theirLine, ourLine] = [
      '10.1.0.0/24 via 10.10.10.8 proto 42 metric 0',
      '10.1.0.0/24 via 10.10.10.9 proto 77 metric 0',
    ];
    assert.deepEqual(await world.list(), [theirLine, ourLine]);
    await world.foreignDelete(rival);
    await world.foreignAdd(rival);
    assert.deepEqual(await world.list(), [ourLine, theirLine]);
  });

  test("IPv4: the host's own address is taken as a gateway, IPv6: it is refused", async (world) => {
    const v4 = route(world.device, '10.1.0.0/24', '10.10.10.104');
    const v6 = route(world.device, 'fd01:1::/64', 'fd00::104');
    assert.deepEqual(await codes(world, add(v4), add(v6)), ['1 EINVAL']);
  });

  test('IPv6: a link-local gateway is on-link', async (world) => {
    const r = route(world.device, 'fd01:1::/64', 'fe80::9');
    assert.deepEqual(await codes(world, add(r)), []);
    assert.deepEqual(await world.list(), ['fd01:1::/64 via fe80::9 proto 77 metric 1024']);
  });

  test('IPv4: a delete names no type of service, so a route with one stays', async (world) => {
    const ours = route(world.device, '10.1.0.0/24', '10.10.10.9');
    const { prefix: p, gateway, device, protocol } = ours;
    await world.foreignAdd({ prefix: p, gateway, device, protocol, tos: 4 });
    assert.deepEqual(await codes(world, remove(ours)), ['0 ESRCH']);
  });
}
