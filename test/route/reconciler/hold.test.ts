/** Mass loss: what is held, what is not, and how a hold ends. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { OURS, World } from './world.ts';

const keys = (n: number, from = 0): string[] =>
  Array.from({ length: n }, (_, i) => `10.100.${from + i}.0/24`);
const all = (list: string[], gateway: string | undefined): Record<string, string | undefined> =>
  Object.fromEntries(list.map((key) => [key, gateway]));

function fleet(n: number): World {
  const world = new World();
  world.want(all(keys(n), '10.0.0.2'));
  world.run(60_000);
  world.outputs.length = 0;
  return world;
}

describe('a snapshot without', () => {
  test('6 of 10 peers removes nothing, says so once, and goes on after ten minutes', () => {
    const world = fleet(10);
    world.want(all(keys(6), undefined));
    world.run(599_000);
    assert.equal(world.ours().length, 10);
    const [hold, ...more] = world.said('hold');
    assert.deepEqual([hold?.count, hold?.of, more.length], [6, 10, 0]);
    assert.equal(world.state('10.100.0.0/24'), 'held');
    world.run(2000);
    assert.equal(world.ours().length, 4);
    assert.deepEqual(world.said('holdCleared'), [{ type: 'holdCleared', why: 'expired' }]);
    assert.equal(world.said('removed').length, 6);
  });

  test('5 of 10 peers removes them', () => {
    const world = fleet(10);
    world.want(all(keys(5), undefined));
    world.run(1000);
    assert.equal(world.ours().length, 5);
    assert.equal(world.said('hold').length, 0);
  });

  test('2 of 2 peers removes them', () => {
    const world = fleet(2);
    world.want(all(keys(2), undefined));
    world.run(1000);
    assert.equal(world.ours().length, 0);
  });

  test('1 of 2 peers, its history in doubt, removes nothing; the peer that returns clears that', () => {
    const world = fleet(2);
    const [lost] = keys(1);
    assert.ok(lost !== undefined);
    const change = world.change(lost, undefined);
    world.send({ type: 'desired', changes: [change], complete: true, suspect: true });
    world.run(10_000);
    assert.equal(world.ours().length, 2);
    const [hold] = world.said('hold');
    assert.deepEqual([hold?.count, hold?.of], [1, 2]);
    assert.equal(world.state(lost), 'held');
    world.want({ [lost]: '10.0.0.2' });
    world.run(1000);
    assert.deepEqual(world.said('holdCleared'), [{ type: 'holdCleared', why: 'returned' }]);
  });

  test('6 of 10 peers and with 20 new ones still counts against the 10', () => {
    const world = fleet(10);
    world.want({ ...all(keys(20, 100), '10.0.0.3'), ...all(keys(6), undefined) });
    world.run(1000);
    assert.equal(world.ours().length, 30);
    assert.equal(world.said('hold')[0]?.of, 10);
  });

  test('any peer, all at other gateways now, is no removal', () => {
    const world = fleet(10);
    world.want(all(keys(10), '10.0.0.3'));
    world.run(1000);
    assert.equal(world.said('hold').length, 0);
    assert.ok(world.ours().every((line) => line.includes('10.0.0.3')));
  });
});

describe('removals one by one', () => {
  test('within 10 s are held when they become too many, and those that went before come back', () => {
    const world = fleet(10);
    for (const key of keys(6)) {
      world.want({ [key]: undefined });
      world.run(1000);
    }
    assert.equal(world.ours().length, 10);
    assert.equal(world.said('hold').length, 1);
  });

  test('count against the peers there were before, not against those that joined meanwhile', () => {
    const world = fleet(10);
    world.want(all(keys(1), undefined));
    world.run(1000);
    world.want(all(keys(20, 100), '10.0.0.3'));
    world.run(1000);
    world.want(all(keys(5, 1), undefined));
    world.run(1000);
    assert.deepEqual([world.said('hold')[0]?.count, world.said('hold')[0]?.of], [6, 10]);
    assert.equal(world.ours().length, 30);
  });

  test('2 s apart are let go while the peers of any 10 s are no more than half', () => {
    const world = fleet(20);
    for (const key of keys(12)) {
      world.want({ [key]: undefined });
      world.run(2000);
    }
    assert.equal(world.ours().length, 8);
  });
});

describe('a hold', () => {
  test('is cleared when every prefix has returned, with no write at all', () => {
    const world = fleet(10);
    const written = world.kernel.journal.length;
    world.want(all(keys(10), undefined));
    world.run(1000);
    world.want(all(keys(7), '10.0.0.2'));
    world.run(1000);
    assert.equal(world.state('10.100.0.0/24'), 'installed');
    assert.equal(world.state('10.100.9.0/24'), 'held');
    world.want(all(keys(3, 7), '10.0.0.2'));
    world.run(1000);
    assert.deepEqual(world.said('holdCleared'), [{ type: 'holdCleared', why: 'returned' }]);
    assert.equal(world.kernel.journal.length, written);
  });

  test("ends on the operator's word", () => {
    const world = fleet(10);
    world.want(all(keys(10), undefined));
    world.run(1000);
    world.send({ type: 'confirm' });
    world.run(1000);
    assert.deepEqual(world.ours(), []);
  });

  test('waits ten minutes from the last return', () => {
    const world = fleet(10);
    world.want(all(keys(10), undefined));
    world.run(500_000);
    world.want(all(keys(1), '10.0.0.2'));
    world.run(500_000);
    assert.equal(world.ours().length, 10);
    world.run(110_000);
    assert.equal(world.ours().length, 1);
  });

  test('puts a held route back that goes with its link', () => {
    const world = fleet(10);
    world.want(all(keys(10), undefined));
    world.run(1000);
    world.kernel.setLink(world.eth0, { up: false });
    world.run(1000);
    world.kernel.setLink(world.eth0, { up: true });
    world.run(1000);
    assert.equal(world.ours().length, 10);
  });
});

describe('a held route whose device gets another index', () => {
  test('is put back by the new one, and held again only once it stands', () => {
    const world = fleet(10);
    world.want(all(keys(10), undefined));
    world.run(1000);
    const [key = ''] = keys(1);
    assert.equal(world.state(key), 'held');
    world.kernel.setLink(world.eth0, { up: false });
    world.kernel.removeAddress(world.eth0, '10.0.0.1/24');
    world.run(1000);
    assert.deepEqual(world.ours(), []);
    assert.notEqual(world.state(key), 'held', 'there is no route to hold');
    world.kernel.removeAddress(world.eth1, '10.1.0.1/24');
    world.kernel.addAddress(world.eth1, '10.0.0.1/24');
    world.send({ type: 'device', from: world.eth0, to: world.eth1 });
    world.run(1000);
    assert.equal(world.ours().length, 10);
    assert.equal(world.state(key), 'held');
    assert.equal(world.said('holdCleared').length, 0);
  });

  test('is put back by it also when it becomes held only later', () => {
    const world = fleet(10);
    world.want(all(keys(10).slice(0, 5), undefined));
    world.send({ type: 'device', from: world.eth0, to: world.eth1 });
    world.kernel.removeAddress(world.eth0, '10.0.0.1/24');
    world.kernel.removeAddress(world.eth1, '10.1.0.1/24');
    world.kernel.addAddress(world.eth1, '10.0.0.1/24');
    world.want(all(keys(10).slice(5), undefined));
    world.run(1000);
    assert.equal(world.said('hold').length, 1);
    const rows = world.kernel.routes().filter(({ protocol }) => protocol === OURS);
    assert.deepEqual(new Set(rows.map(({ device }) => device)), new Set([world.eth1]));
    assert.equal(rows.length, 10);
  });
});

describe('after a restart', () => {
  test('a first view that leaves most of our routes unwanted is held', () => {
    const world = fleet(10);
    world.restart();
    world.want(all(keys(3), '10.0.0.2'));
    world.run(1000);
    assert.equal(world.ours().length, 10);
    assert.deepEqual([world.said('hold')[0]?.count, world.said('hold')[0]?.of], [7, 10]);
    assert.equal(world.state('10.100.9.0/24'), 'held');
    world.send({ type: 'confirm' });
    world.run(1000);
    assert.equal(world.ours().length, 3);
  });

  test('a first view that leaves few unwanted sweeps them', () => {
    const world = fleet(10);
    world.restart();
    world.want(all(keys(8), '10.0.0.2'));
    world.run(1000);
    assert.equal(world.ours().length, 8);
  });

  for (const order of ['before', 'after'] as const)
    test(`a first view in doubt, told ${order} the kernel's routes, lets not even one of them go`, () => {
      const world = fleet(3);
      world.restart();
      const [lost = '', ...kept] = keys(3);
      const changes = kept.map((key) => world.change(key, '10.0.0.2'));
      if (order === 'after') world.run(1000);
      world.send({ type: 'desired', changes, complete: true, suspect: true });
      // What comes next is beyond doubt, but says nothing of that one.
      world.want({ '10.100.77.0/24': '10.0.0.2' });
      world.run(1000);
      assert.equal(world.ours().length, 4);
      assert.deepEqual([world.said('hold')[0]?.count, world.state(lost)], [1, 'held']);
      world.want({ [lost]: '10.0.0.2' });
      world.run(1000);
      assert.deepEqual(world.said('holdCleared'), [{ type: 'holdCleared', why: 'returned' }]);
    });

  test('an empty first view removes nothing, and the leases that come later clear the hold', () => {
    const world = fleet(5);
    world.restart();
    world.want({});
    world.run(1000);
    assert.equal(world.ours().length, 5);
    const written = world.kernel.journal.length;
    world.want(all(keys(5), '10.0.0.2'));
    world.run(1000);
    assert.equal(world.said('holdCleared').length, 1);
    assert.equal(world.kernel.journal.length, written);
  });
});
