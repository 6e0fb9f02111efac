/** Real packets through real nft and iptables of both kinds, in network namespaces. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { systemClock } from '../../src/core/index.ts';
import { ForwardRules, type ForwardStatus } from '../../src/host/index.ts';
import { until } from '../support/until.ts';
import {
  address,
  Lines,
  never,
  opened,
  prefix,
  rulesOn,
  skip,
  slow,
  state,
  wanted,
} from './opened.ts';
import { docker20, docker28, PEER_CONTAINER, PEER_HOST, STRANGER, World } from './world.ts';

for (const iptables of ['iptables-nft', 'iptables-legacy']) {
  for (const policy of ['DROP', 'ACCEPT'] as const) {
    describe(`Docker with ${iptables}, FORWARD policy ${policy}`, { skip }, () => {
      let world: World;
      let rules: ForwardRules;
      before(async () => {
        world = await World.create();
        rules = rulesOn(world.host, { iptables });
      });
      after(() => world.close());

      test(
        'peers get in and nobody else, before and after Docker 20.10 starts, and with 28',
        slow,
        async () => {
          assert.equal((await rules.ensure(wanted, never)).kind, 'open');
          await world.host.sh(docker20(iptables, policy));
          await opened(world);
          // It adopts the chain, and our jump is not left beside its own.
          const jumps = await world.host.sh(`${iptables} -S FORWARD | grep -c -- '-j DOCKER-USER'`);
          assert.equal(jumps.trim(), '1');
          await world.host.sh(docker28(iptables));
          await opened(world);
          const before = await state(world.host);
          assert.equal((await rules.ensure(wanted, never)).kind, 'open');
          assert.equal(await state(world.host), before);
        },
      );
    });
  }
}

describe('Docker first, in the backend that is not the default', { skip }, () => {
  for (const [main, other] of [
    ['iptables-nft', 'iptables-legacy'],
    ['iptables-legacy', 'iptables-nft'],
  ] as const) {
    test(`${other} is opened too where iptables is ${main}`, slow, async () => {
      const world = await World.create();
      try {
        await world.host.sh(docker20(other, 'DROP'));
        const status = await rulesOn(world.host, { iptables: main }).ensure(wanted, never);
        assert.deepEqual(status, { kind: 'open', how: `opened in nft and ${main} and ${other}` });
        await opened(world);
      } finally {
        await world.close();
      }
    });
  }
});

test('a flush between two of our commands takes a chain from under the next, and is no failure', {
  ...slow,
  skip: skip ?? false,
}, async () => {
  const world = await World.create();
  try {
    let armed = true;
    const rules = new ForwardRules({
      log: new Lines(),
      clock: systemClock,
      legacyTables: world.host.legacyTables,
      run: async (file, args, options) => {
        if (armed && args.join(' ').includes('-I FORWARD -j DOCKER-USER')) {
          armed = false;
          await world.host.sh('nft flush ruleset');
        }
        return world.host.run(file === 'iptables' ? 'iptables-nft' : file, args, options);
      },
    });
    assert.equal((await rules.ensure(wanted, never)).kind, 'open');
    assert.equal(armed, false, 'the flush came');
    assert.equal((await rules.ensure(wanted, never)).kind, 'open');
    assert.equal(await world.reaches(STRANGER), false);
    assert.equal(await world.reaches(PEER_CONTAINER), true);
  } finally {
    await world.close();
  }
});

const DAMAGES = [
  'nft flush table inet hostgw',
  'nft delete table inet hostgw',
  'nft flush set inet hostgw peers',
  'iptables-nft -D DOCKER-USER -m mark --mark 0x4847/0xffff -m comment --comment hostgw -j ACCEPT',
  'iptables-nft -t raw -F',
];

describe('on a host', { skip }, () => {
  let world: World;
  let log: Lines;
  before(async () => {
    world = await World.create();
    log = new Lines();
    await world.host.sh(docker20('iptables-nft', 'DROP'));
  });
  after(() => world.close());

  test('a new set of gateways and a new subnet replace the old ones', slow, async () => {
    const rules = rulesOn(world.host);
    const old = { network: prefix('10.100.0.0/16'), subnet: prefix('10.100.7.0/24') };
    await rules.ensure({ ...wanted, v4: old, gateways: [] }, never);
    await rules.ensure(wanted, never);
    await opened(world);
    assert.doesNotMatch(await state(world.host), /10\.100\.7\.0/);
    await rules.ensure({ ...wanted, gateways: [] }, never);
    assert.equal(await world.reaches(PEER_HOST), false);
  });

  test(
    'another process finds all as it left it, and ten wishes at once end in the last',
    slow,
    async () => {
      await rulesOn(world.host).ensure(wanted, never);
      const before = await state(world.host);
      const rules = rulesOn(world.host);
      const gateways = Array.from({ length: 9 }, (_, index) => [
        address(`10.10.10.${200 + index}`),
      ]);
      await Promise.all(
        [...gateways, wanted.gateways].map((list) =>
          rules.ensure({ ...wanted, gateways: list }, never),
        ),
      );
      assert.equal(await state(world.host), before);
    },
  );

  test('a wish after remove() holds, one before it does not', slow, async () => {
    const rules = rulesOn(world.host);
    const first = rules.ensure({ ...wanted, gateways: [] }, never);
    const gone = rules.remove(never);
    const last = rules.ensure(wanted, never);
    await Promise.all([first, gone]);
    assert.equal((await last).kind, 'open');
    await opened(world);
    const early = rules.ensure(wanted, never);
    await rules.remove(never);
    assert.equal((await early).kind, 'failed');
    assert.doesNotMatch(await state(world.host), /hostgw/);
  });

  test('the mark is gone before kube-proxy could take it for its own', slow, async () => {
    await world.host.sh(
      'iptables-nft -t nat -I POSTROUTING -m mark --mark 0x4000/0x4000 -j MASQUERADE',
    );
    await rulesOn(world.host).ensure(wanted, never);
    await opened(world);
  });

  test('without CAP_NET_ADMIN says what is lacking, and changes nothing', slow, async () => {
    const before = await state(world.host);
    const rules = new ForwardRules({
      log: new Lines(),
      clock: systemClock,
      legacyTables: world.host.legacyTables,
      run: (file, args, options) =>
        world.host.run(
          'setpriv',
          ['--bounding-set=-net_admin', '--inh-caps=-all', file, ...args],
          options,
        ),
    });
    const status = await rules.ensure({ ...wanted, gateways: [] }, never);
    assert.equal(status.kind, 'failed');
    assert.match(JSON.stringify(status), /nft refused our table: .*permitted.*CAP_NET_ADMIN/);
    assert.equal(await state(world.host), before);
  });

  test('what somebody flushes is put back, and said once', slow, async () => {
    const stop = new AbortController();
    const rules = rulesOn(world.host, { log, checkMs: 20 });
    await rules.ensure(wanted, stop.signal);
    const before = await state(world.host);
    const statuses: ForwardStatus[] = [];
    rules.watch((status) => statuses.push(status), stop.signal);
    try {
      for (const damage of DAMAGES) {
        await world.host.sh(damage);
        await until(`${damage} is repaired`, async () => (await state(world.host)) === before);
      }
      await world.host.sh('iptables-nft -F');
      await until('iptables -F is repaired', () => world.reaches(PEER_CONTAINER));
      await world.host.sh('nft flush ruleset');
      await until('the guard is back', async () => !(await world.reaches(STRANGER)));
      assert.equal(await world.reaches(PEER_CONTAINER), true);
    } finally {
      stop.abort();
    }
    const warnings = log.lines.filter((line) => line.startsWith('warn'));
    assert.equal(warnings.length, 1, log.lines.join('\n'));
    assert.match(warnings[0] ?? '', /flushed forward rules, put back: nft table inet hostgw/);
    assert.deepEqual(statuses, [], 'what is open again was never told to be shut');
  });

  test('remove() leaves nothing of ours, and what others have', slow, async () => {
    await world.host.sh('nft flush ruleset');
    const clean = await state(world.host);
    const rules = rulesOn(world.host);
    await rules.ensure(wanted, never);
    assert.equal(await rules.remove(never), undefined);
    assert.doesNotMatch(await state(world.host), /hostgw|DOCKER-USER|accept$/m);
    await rules.remove(never);
    assert.equal(clean.trim(), '');
    await world.host.sh(docker20('iptables-nft', 'DROP'));
    // iptables-nft keeps a table once it was used.
    const others = async (): Promise<string> =>
      (await state(world.host)).replace(/table ip raw \{[^}]*\}\s*\}\s*/, '');
    const docker = await others();
    await rules.ensure(wanted, never);
    await rules.remove(never);
    assert.equal(await others(), docker);
  });
});
