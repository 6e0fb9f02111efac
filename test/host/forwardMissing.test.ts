/** Forward rules on hosts that lack a program, or Docker; and many wishes at once. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { systemClock } from '../../src/core/index.ts';
import { ForwardRules } from '../../src/host/index.ts';
import { until } from '../support/until.ts';
import { address, Lines, never, rulesOn, skip, slow, state, wanted } from './opened.ts';
import { docker20, PEER_CONTAINER, STRANGER, World } from './world.ts';

test('a burst of wishes writes the first and the last, not each', slow, async () => {
  const scripts: string[] = [];
  const rules = new ForwardRules({
    log: new Lines(),
    clock: systemClock,
    legacyTables: async () => '',
    run: async (file, args, options) => {
      if (file === 'nft' && args[0] === '-f') scripts.push(options?.input ?? '');
      return { code: 0, stdout: file === 'nft' ? (scripts.at(-1) ?? '') : '', stderr: '' };
    },
  });
  await rules.ensure(wanted, never);
  const burst = Array.from({ length: 50 }, (_, index) => address(`10.10.11.${index + 1}`));
  await Promise.all(burst.map((one) => rules.ensure({ ...wanted, gateways: [one] }, never)));
  assert.equal(scripts.length, 2);
  assert.match(scripts.at(-1) ?? '', /10\.10\.11\.50 \}/);
});

test(
  'what an ensure() could not do, and a later look can, is told as open again',
  slow,
  async () => {
    let refuses = false;
    let table = '';
    const rules = new ForwardRules({
      log: new Lines(),
      clock: systemClock,
      checkMs: 5,
      legacyTables: async () => '',
      run: async (file, args, options) => {
        if (file === 'nft' && refuses) return { code: 1, stdout: '', stderr: 'Error: busy' };
        if (file === 'nft' && args[0] === '-f') table = options?.input ?? '';
        return { code: 0, stdout: file === 'nft' ? table : '', stderr: '' };
      },
    });
    const stop = new AbortController();
    const told: string[] = [];
    assert.equal((await rules.ensure(wanted, stop.signal)).kind, 'open');
    refuses = true;
    assert.notEqual((await rules.ensure({ ...wanted, gateways: [] }, stop.signal)).kind, 'open');
    refuses = false;
    rules.watch((status) => told.push(status.kind), stop.signal);
    await until('it is open again', () => told.length > 0);
    stop.abort();
    assert.deepEqual(told, ['open']);
  },
);

describe('where something is missing', { skip }, () => {
  const here = async (check: (world: World) => Promise<void>): Promise<void> => {
    const world = await World.create();
    try {
      await check(world);
    } finally {
      await world.close();
    }
  };

  test(
    'without nft, sources in Network are accepted by address, and the limits are said',
    slow,
    () =>
      here(async (world) => {
        await world.host.sh(docker20('iptables-nft', 'DROP'));
        const status = await rulesOn(world.host, { without: ['nft'] }).ensure(wanted, never);
        assert.equal(status.kind, 'partial');
        assert.match(
          status.kind === 'partial' ? status.reason : '',
          /nft is not installed; install nftables/,
        );
        assert.equal(await world.reaches(PEER_CONTAINER), true);
        assert.equal(await world.reaches(STRANGER), false);
        // nft is installed: the accepts by address go.
        assert.equal((await rulesOn(world.host).ensure(wanted, never)).kind, 'open');
        assert.doesNotMatch(await world.host.sh('iptables-nft -S DOCKER-USER'), /-s 10/);
      }),
  );

  test('without iptables nothing more is needed: the guard holds', slow, () =>
    here(async (world) => {
      const rules = rulesOn(world.host, { without: ['iptables', 'iptables-nft'] });
      assert.deepEqual(await rules.ensure(wanted, never), {
        kind: 'open',
        how: 'guarded by nft; no iptables here',
      });
      assert.equal(await world.reaches(PEER_CONTAINER), true);
      assert.equal(await world.reaches(STRANGER), false);
    }),
  );

  test('without either, one sentence says so', slow, () =>
    here(async (world) => {
      const rules = rulesOn(world.host, { without: ['nft', 'iptables'] });
      const status = await rules.ensure(wanted, never);
      assert.equal(status.kind, 'failed');
      assert.match(JSON.stringify(status), /nft is not installed; iptables is not installed/);
    }),
  );

  test('without Docker, a DROP policy of somebody else is passed both ways', slow, () =>
    here(async (world) => {
      await world.host.sh(
        'iptables-nft -P FORWARD DROP; iptables-nft -A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT',
      );
      await rulesOn(world.host).ensure(wanted, never);
      assert.equal(await world.reaches(PEER_CONTAINER), true);
      assert.equal(await world.containerReachesPeer(), true);
      assert.equal(await world.reaches(STRANGER), false);
    }),
  );

  test('a table that is no iptables table is named, not broken', slow, () =>
    here(async (world) => {
      const table =
        'table ip filter { chain FORWARD { type filter hook forward priority 5; ip saddr { 1.2.3.4 } drop; }; }';
      await world.host.sh(`nft '${table}'`);
      const status = await rulesOn(world.host).ensure(wanted, never);
      assert.equal(status.kind, 'failed');
      assert.match(
        JSON.stringify(status),
        /iptables-nft: .*(incompatible|Operation not supported)/,
      );
      assert.match(await state(world.host), /ip saddr (\{ )?1\.2\.3\.4/);
    }),
  );
});
