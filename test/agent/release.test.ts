/** Giving the subnet back, on a real etcd and a real disk. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type Release, type ReleasePorts, releaseSubnet } from '../../src/agent/release.ts';
import type { Etcd } from '../../src/etcd/index.ts';
import { loadState, type OwnState, removeState, saveState } from '../../src/lease/index.ts';
import { freePort, startEtcd, type TestEtcd } from '../support/etcd.ts';
import { valueText } from '../support/leases.ts';
import { needs } from '../support/needs.ts';

const NAME = '10.100.3.0-24';
const US = '10.10.10.104';
const LEASE = '7700000000000000001';

describe('releasing the subnet', { skip: needs('etcd') ?? false }, () => {
  let server: TestEtcd;
  let etcd: Etcd;
  let worlds = 0;
  before(async () => {
    server = await startEtcd();
    etcd = server.open();
  });
  after(() => server.stop());

  /** A host whose state names the subnet, and the key as etcd has it. */
  async function host(
    key: { value: string; lease: string } | undefined,
    state: Partial<OwnState> = {},
  ) {
    worlds += 1;
    const stateDir = mkdtempSync(join(tmpdir(), 'hostgw-release-'));
    const name = `/t${worlds}/subnets/${NAME}`;
    for (const id of new Set([LEASE, key?.lease ?? '0'])) if (id !== '0') await etcd.grant(id, 60);
    if (key !== undefined)
      await etcd.transact({ compare: [], writes: [{ type: 'put', key: name, ...key }] });
    await saveState(stateDir, {
      ...{ subnet: NAME, held: true, etcdLease: LEASE, addresses: [US], rival: undefined },
      ...state,
    });
    const release = (more: Partial<ReleasePorts> = {}): Promise<Release> =>
      releaseSubnet({
        etcd,
        subnetsPrefix: `/t${worlds}/subnets/`,
        stateDir,
        loadState: () => loadState(stateDir, 'leave'),
        removeState: () => removeState(stateDir),
        ...more,
      });
    return {
      name,
      stateDir,
      release,
      key: () => etcd.get(name),
      hasState: async () => (await loadState(stateDir, 'leave')).kind === 'state',
      /** Of the etcd lease: seconds, 0 if it is gone. */
      left: () => etcd.keepAlive(LEASE),
      remove: () => rmSync(stateDir, { recursive: true }),
    };
  }

  test('deletes the key, revokes the etcd lease, forgets the state; again there is nothing to do', async () => {
    const us = await host({ value: valueText(US), lease: LEASE });
    const { released, sentence } = await us.release();
    assert.ok(released);
    assert.match(
      sentence,
      /^released subnet 10\.100\.3\.0\/24: key .*10\.100\.3\.0-24 is deleted, etcd lease \d+ is revoked/,
    );
    assert.deepEqual([await us.key(), await us.hasState(), await us.left()], [undefined, false, 0]);
    assert.match((await us.release()).sentence, /names no subnet: there is nothing to release/);
    us.remove();
  });

  test('ends well where the key or the etcd lease is gone already', async () => {
    const us = await host(undefined);
    await etcd.revoke(LEASE);
    const { released, sentence } = await us.release();
    assert.ok(released, sentence);
    assert.match(sentence, /had no key in etcd any more/);
    assert.equal(await us.hasState(), false);
    us.remove();
  });

  test('refuses a key that has our address under an etcd lease that this host did not choose: flanneld may use it', async () => {
    const us = await host({ value: valueText(US), lease: '42' });
    const before = await us.key();
    const { released, sentence } = await us.release();
    assert.equal(released, false);
    assert.match(
      sentence,
      /under etcd lease 42, which hostgw did not choose .*nothing was changed/,
    );
    assert.deepEqual([await us.key(), await us.hasState()], [before, true]);
    assert.ok((await us.left()) > 0);
    us.remove();
  });

  test("refuses another host's key, whose it says, and changes nothing", async () => {
    for (const [value, lease, whose] of [
      [valueText('10.10.10.66'), '43', /belongs to 10\.10\.10\.66 /],
      [valueText('10.10.10.66'), LEASE, /10\.10\.10\.66, which uses a copy of this host's state/],
      ['{', '43', /belongs to an owner whose value cannot be read/],
    ] as const) {
      const us = await host({ value, lease });
      const before = await us.key();
      const { released, sentence } = await us.release();
      assert.equal(released, false);
      assert.match(sentence, whose);
      assert.deepEqual([await us.key(), await us.hasState()], [before, true]);
      assert.ok((await us.left()) > 0);
      us.remove();
    }
  });

  test('leaves a reservation in etcd, and says how to end it', async () => {
    const us = await host({ value: valueText(US), lease: '0' });
    const { released, sentence } = await us.release();
    assert.ok(released);
    assert.match(sentence, /is a reservation, so key .* stays \(to end it: etcdctl del '.*'\)/);
    assert.ok((await us.key()) !== undefined);
    assert.deepEqual([await us.hasState(), await us.left()], [false, 0]);
    us.remove();
  });

  test('deletes nothing that changed after it was read', async () => {
    const us = await host({ value: valueText(US), lease: LEASE });
    const theirs = {
      type: 'put',
      key: us.name,
      value: valueText('10.10.10.66'),
      lease: '0',
    } as const;
    const { released, sentence } = await us.release({
      etcd: {
        get: async (key) => {
          const entry = await etcd.get(key);
          if (entry?.value === valueText(US))
            await etcd.transact({ compare: [], writes: [theirs] });
          return entry;
        },
        transact: (transaction) => etcd.transact(transaction),
        revoke: (id) => etcd.revoke(id),
      },
    });
    assert.equal(released, false);
    assert.match(sentence, /belongs to 10\.10\.10\.66/);
    assert.equal((await us.key())?.value, theirs.value);
    us.remove();
  });

  test('changes nothing on disk while etcd cannot be reached, and does the rest later', async () => {
    const us = await host({ value: valueText(US), lease: LEASE });
    const away = server.open({ endpoints: [`http://127.0.0.1:${await freePort()}`] });
    const lost = await us.release({ etcd: away });
    assert.equal(lost.released, false);
    assert.match(lost.sentence, /refused the connection.*is as it was: run this again/);
    // The key goes, then etcd does.
    const cut = await us.release({
      etcd: {
        get: (key) => etcd.get(key),
        transact: (transaction) => etcd.transact(transaction),
        revoke: () => away.revoke(LEASE),
      },
    });
    assert.equal(cut.released, false);
    assert.ok(await us.hasState());
    assert.ok((await us.release()).released);
    assert.deepEqual([await us.hasState(), await us.left()], [false, 0]);
    us.remove();
  });

  test('does not guess where the state is damaged', async () => {
    const us = await host({ value: valueText(US), lease: LEASE });
    writeFileSync(join(us.stateDir, 'state.json'), '{"version":1,');
    const { released, sentence } = await us.release();
    assert.equal(released, false);
    assert.match(
      sentence,
      /is not JSON, so which subnet is ours is not known: nothing was changed/,
    );
    assert.ok((await us.key()) !== undefined);
    us.remove();
  });
});
