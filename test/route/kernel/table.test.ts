/** A table of its own and a preferred source, on the real kernel: what is outside the table is neither seen nor touched. */
import assert from 'node:assert/strict';
import { readHostFacts, tableOfVrf } from '../../../src/host/index.ts';
import { needs } from '../../support/needs.ts';
import { inNetns } from '../../support/netns.ts';
import { until } from '../../support/until.ts';
import { address, OURS, prefix } from '../samples.ts';
import { DRIVERS } from './flips.ts';
import { gateway4, gateway6, ip, prefix4, prefix6, Scene } from './scene.ts';

const TABLE = 100_000;

inNetns(import.meta.url, needs('root', 'ip', 'unshare'), (test) => {
  for (const driver of DRIVERS) {
    test(`driver ${driver}: routes, dumps and sweeps stay in the table, in both families`, async () => {
      await Scene.with({ driver, table: TABLE }, async (scene) => {
        // In main: a rival at our prefix, and a route with our protocol that nobody wants.
        await ip(`route add ${prefix4(0)} via ${gateway4(5)} proto static`);
        await ip(`route add ${prefix4(9)} via ${gateway4(5)} proto ${OURS}`);
        await ip(`route add ${prefix4(8)} via ${gateway4(5)} proto ${OURS} table ${TABLE}`);
        await ip(`route add ${prefix6(8)} via ${gateway6(5)} proto ${OURS} table ${TABLE}`);
        scene.send({ type: 'hint', links: false, addresses: false, routes: true });
        scene.want({ [prefix4(0)]: gateway4(0), [prefix6(0)]: gateway6(0) });
        const ours = [
          `${prefix4(0)} via ${gateway4(0)} proto ${OURS} metric 0`,
          `${prefix6(0)} via ${gateway6(0)} proto ${OURS} metric 1024`,
        ];
        await until('ours are all there is', async () =>
          sameLines(await scene.routes(TABLE), ours),
        );
        assert.deepEqual(await scene.routes(), [
          `${prefix4(0)} via ${gateway4(5)} proto 4 metric 0`,
          `${prefix4(9)} via ${gateway4(5)} proto ${OURS} metric 0`,
        ]);
        assert.equal(scene.states.get(prefix4(0))?.state, 'installed');
        // Deleted by hand in the table it comes back; a change in main is not even heard.
        await ip(`route del ${prefix4(0)} table ${TABLE}`);
        await until('it is back', async () => sameLines(await scene.routes(TABLE), ours));
        await ip(`route add ${prefix4(1)} via ${gateway4(5)} proto static table ${TABLE}`);
        scene.want({ [prefix4(1)]: gateway4(1) });
        await until('the rival in it is', () => scene.states.get(prefix4(1))?.state === 'conflict');
      });
    });

    test(`driver ${driver}: a preferred source goes in and out without a gap, and a route that lost it is put back`, async () => {
      await Scene.with({ driver }, async (scene) => {
        await ip('addr add 10.99.0.1/32 dev lo');
        await ip('addr add fd99::1/128 dev lo');
        const want = (source4?: string, source6?: string): void => {
          const route = (via: string, source?: string) => ({
            gateway: address(via),
            device: scene.device,
            ...(source && { source: address(source) }),
          });
          const changes = [
            { prefix: prefix(prefix4(0)), route: route(gateway4(0), source4) },
            { prefix: prefix(prefix6(0)), route: route(gateway6(0), source6) },
          ];
          scene.send({ type: 'desired', changes, complete: true });
        };
        const sources = async (): Promise<string> => {
          const shown = [`-4 route show ${prefix4(0)}`, `-6 route show ${prefix6(0)}`];
          const lines = (await Promise.all(shown.map((words) => ip(words))))
            .join('')
            .trim()
            .split('\n');
          return lines.map((line) => / src (\S+)/.exec(line)?.[1] ?? 'none').join();
        };
        want('10.99.0.1', 'fd99::1');
        await until('with a source', async () => (await sources()) === '10.99.0.1,fd99::1');
        want();
        await until('without', async () => (await sources()) === 'none,none');
        want('10.99.0.1', 'fd99::1');
        await until('with it again', async () => (await sources()) === '10.99.0.1,fd99::1');
        await ip('addr del 10.99.0.1/32 dev lo');
        await until('IPv4 says why', () => scene.states.get(prefix4(0))?.state === 'rejected');
        assert.match(scene.states.get(prefix4(0))?.reason ?? '', /Invalid prefsrc address/);
        await ip('addr add 10.99.0.1/32 dev lo');
        await until('and is back', async () => (await sources()) === '10.99.0.1,fd99::1');
        await ip('addr flush dev lo scope global');
      });
    });
  }

  test('connected prefixes and default routes count from the table and from main, the table first', async () => {
    await Scene.with({ driver: 'ip' }, async () => {
      await ip('route add default via 10.10.0.2');
      await ip(`route add 10.20.0.0/24 dev eth0 scope link table ${TABLE}`);
      await ip(`route add default via 10.10.0.3 metric 50 table ${TABLE}`);
      await ip(`route add fd20::/64 dev eth0 table ${TABLE}`);
      const facts = await readHostFacts(undefined, undefined, TABLE);
      assert.deepEqual(
        facts.connected.map((each) => each.prefix.text),
        ['10.20.0.0/24', 'fd20::/64', '10.10.0.0/16', 'fd00::/64'],
      );
      assert.deepEqual(
        facts.defaultRoutes.map(({ gateway }) => gateway?.text),
        ['10.10.0.3', '10.10.0.2'],
      );
      const main = await readHostFacts();
      assert.deepEqual(
        main.connected.map((each) => each.prefix.text),
        ['10.10.0.0/16', 'fd00::/64'],
      );
    });
  });

  test('the table of a VRF device is read from it, where the kernel has VRFs', async () => {
    const made = await ip('link add blue type vrf table 10').then(
      () => true,
      () => false,
    );
    const says = (link: object) => async () => ({
      code: 0,
      stdout: JSON.stringify([link]),
      stderr: '',
    });
    if (made) assert.equal(await tableOfVrf('blue'), 10);
    const vrf = { linkinfo: { info_kind: 'vrf', info_data: { table: 10 } } };
    assert.equal(await tableOfVrf('blue', says(vrf)), 10);
    const veth = { linkinfo: { info_kind: 'veth' } };
    await assert.rejects(tableOfVrf('eth0', says(veth)), /eth0 is no VRF device/);
    await assert.rejects(tableOfVrf('none0'), /there is no VRF device none0/);
    if (made) await ip('link del blue');
  });
});

const sameLines = (a: readonly string[], b: readonly string[]): boolean =>
  [...a].sort().join() === [...b].sort().join();
