import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { JudgeContext } from '../../src/lease/judge.ts';
import { type BookChanges, PeerBook } from '../../src/lease/peerBook.ts';
import type { LeaseChange } from '../../src/lease/view.ts';
import { growth, timed } from '../support/growth.ts';
import { address, NETWORK, prefix, read, SURROUNDINGS, valueText } from '../support/leases.ts';

const CONTEXT: JudgeContext = { config: NETWORK, own: undefined, surroundings: SURROUNDINGS };
const LAN: JudgeContext = {
  ...CONTEXT,
  surroundings: {
    localAddresses: [address('10.9.9.9')],
    connected: [prefix('10.0.0.0/8')],
    onLink: [prefix('10.0.0.0/8')],
    defaultGateways: [],
  },
};

const put = (name: string, gateway: string, created = 5): LeaseChange => ({
  name,
  read: read(name, valueText(gateway), { created }),
  before: undefined,
});
const gone = (name: string): LeaseChange => ({ name, read: undefined, before: undefined });

const routesOf = (changes: BookChanges): string[] =>
  changes.routes.map((route) => `${route.prefix.text} via ${route.gateway?.text ?? 'nobody'}`);
const saidOf = (changes: BookChanges): string[] =>
  changes.statuses.map(({ name, status }) => {
    const reason = status !== undefined && 'reason' in status ? ` ${status.reason}` : '';
    return `${name} ${status?.kind ?? 'gone'}${reason}`;
  });

function bookIn(context: JudgeContext, ...changes: LeaseChange[]): PeerBook {
  const book = new PeerBook();
  book.setContext(context);
  book.apply(changes);
  return book;
}

describe('the peer book', () => {
  test('tells a route once, its new gateway, and its end', () => {
    const book = bookIn(CONTEXT);
    assert.deepEqual(routesOf(book.apply([put('10.100.3.0-24', '10.10.10.101')])), [
      '10.100.3.0/24 via 10.10.10.101',
    ]);
    assert.deepEqual(routesOf(book.apply([put('10.100.3.0-24', '10.10.10.101')])), []);
    assert.deepEqual(routesOf(book.apply([put('10.100.3.0-24', '10.10.10.103')])), [
      '10.100.3.0/24 via 10.10.10.103',
    ]);
    assert.deepEqual(routesOf(book.apply([gone('10.100.3.0-24')])), ['10.100.3.0/24 via nobody']);
    assert.deepEqual(routesOf(book.apply([gone('10.100.3.0-24')])), []);
  });

  test('leases that come before the config are judged when it is there', () => {
    const book = new PeerBook();
    assert.deepEqual(saidOf(book.apply([put('10.100.3.0-24', '10.10.10.101')])), [
      '10.100.3.0-24 unjudged',
    ]);
    const changes = book.setContext(CONTEXT);
    assert.deepEqual(routesOf(changes), ['10.100.3.0/24 via 10.10.10.101']);
    assert.deepEqual(saidOf(changes), ['10.100.3.0-24 believed']);
  });

  test('a delete and a put in one batch is one change of gateway', () => {
    const book = bookIn(CONTEXT, put('10.100.3.0-24', '10.10.10.101'));
    const changes = book.apply([gone('10.100.3.0-24'), put('10.100.3.0-24', '10.10.10.102', 9)]);
    assert.deepEqual(routesOf(changes), ['10.100.3.0/24 via 10.10.10.102']);
  });

  test('judges again when the surroundings change, and tells only what differs', () => {
    const book = bookIn(
      CONTEXT,
      put('10.100.3.0-24', '10.20.0.1'),
      put('10.100.4.0-24', '10.10.10.101'),
    );
    const onLink = [...SURROUNDINGS.onLink, prefix('10.20.0.0/16')];
    const changes = book.setContext({ ...CONTEXT, surroundings: { ...SURROUNDINGS, onLink } });
    assert.deepEqual(routesOf(changes), ['10.100.3.0/24 via 10.20.0.1']);
    assert.deepEqual(saidOf(changes), ['10.100.3.0-24 believed']);
    assert.deepEqual(routesOf(book.setContext(CONTEXT)), ['10.100.3.0/24 via nobody']);
  });

  test('of two leases of one subnet the older is believed; the younger follows when it goes', () => {
    const younger = put('10.100.3.0-24&fd00::-64', '10.10.10.103', 9);
    const book = bookIn(CONTEXT, younger);
    const changes = book.apply([put('10.100.3.0-24', '10.10.10.101', 4)]);
    assert.deepEqual(routesOf(changes), ['10.100.3.0/24 via 10.10.10.101']);
    assert.deepEqual(saidOf(changes).sort(), [
      '10.100.3.0-24 believed',
      '10.100.3.0-24&fd00::-64 refused lease 10.100.3.0-24&fd00::-64 overlaps an older lease of the same subnet, 10.100.3.0-24',
    ]);
    assert.deepEqual(routesOf(book.apply([gone('10.100.3.0-24')])), [
      '10.100.3.0/24 via 10.10.10.103',
    ]);
  });

  test('a lease may not hold the gateway of an older peer, nor have its gateway in the subnet of one', () => {
    const book = bookIn(LAN, put('10.100.3.0-24', '10.100.50.7', 4));
    const holds = saidOf(book.apply([put('10.100.50.0-24', '10.7.7.7', 6)]));
    assert.match(
      holds[0] ?? '',
      /refused .* holds the gateway of the older lease 10\.100\.3\.0-24/,
    );
    const inside = saidOf(book.apply([put('10.100.51.0-24', '10.100.3.7', 7)]));
    assert.match(
      inside[0] ?? '',
      /refused .* has its gateway inside the subnet of the older lease 10\.100\.3\.0-24/,
    );
    const changes = book.apply([gone('10.100.3.0-24')]);
    assert.deepEqual(routesOf(changes).sort(), [
      '10.100.3.0/24 via nobody',
      '10.100.50.0/24 via 10.7.7.7',
      '10.100.51.0/24 via 10.100.3.7',
    ]);
  });

  test('who is believed does not depend on the order of the news', () => {
    const name = fc
      .tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 0, max: 2 }))
      .map(
        ([subnet, extra]) => `10.100.${subnet}.0-24${extra === 0 ? '' : `&fd00::${extra}:0-112`}`,
      );
    const gateway = fc
      .tuple(fc.integer({ min: 0, max: 5 }), fc.integer({ min: 1, max: 3 }))
      .map(([subnet, host]) => `10.100.${subnet}.${host}`);
    const step = fc.tuple(
      name,
      fc.option(gateway, { nil: undefined }),
      fc.integer({ min: 1, max: 6 }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const book = bookIn(LAN);
        const current = new Map<string, LeaseChange>();
        const routes = new Map<string, string>();
        for (const [key, via, created] of steps) {
          const change = via === undefined ? gone(key) : put(key, via, created);
          if (via === undefined) current.delete(key);
          else current.set(key, change);
          for (const { prefix: to, gateway: by } of book.apply([change]).routes)
            if (by === undefined) routes.delete(to.text);
            else routes.set(to.text, by.text);
        }
        const fresh = bookIn(LAN, ...current.values());
        const wanted = new Map(fresh.routes().map((peer) => [peer.prefix.text, peer.gateway.text]));
        assert.deepEqual(new Map([...routes].sort()), new Map([...wanted].sort()));
        const reset = book.setContext(LAN);
        assert.deepEqual(reset.routes, []);
        // No believed subnet holds a believed gateway, and of two rivals one is believed.
        const believed = book.routes();
        for (const a of believed)
          for (const b of believed)
            assert.ok(!b.gateway.text.startsWith(a.prefix.text.slice(0, -4)));
      }),
      { numRuns: 400 },
    );
  });

  test('thousands of hostile leases at once cost no more each than a few, and leave the honest ones alone', async () => {
    const cost = (count: number): number => {
      const book = bookIn(CONTEXT, put('10.100.3.0-24', '10.10.10.101', 1));
      const hostile = Array.from({ length: count }, (_, index) => [
        put(`10.100.3.0-24&fd00::${index.toString(16)}:0-112`, '10.10.10.66', 2 + index),
        put(`10.100.${index % 256}.${(index >> 8) * 4}-30`, '10.10.10.66'),
        put(`10.100.4.0-24&fd00::${index.toString(16)}:0-112`, '10.10.10.66', 2 + index),
      ]).flat();
      return timed(() => {
        assert.deepEqual(routesOf(book.apply(hostile)), ['10.100.4.0/24 via 10.10.10.66']);
        const leave = [gone('10.100.4.0-24&fd00::0:0-112'), gone('10.100.3.0-24')];
        assert.equal(book.apply(leave).routes.length, 1);
      });
    };
    const factor = await growth(cost, { small: 500, large: 4000, limit: 32 });
    assert.ok(factor < 32, `eight times the leases cost ${factor.toFixed(1)} times as much`);
  });

  test('one change among 16,000 leases costs what one among 500 does', async () => {
    const config = {
      v4: { ...(NETWORK.v4 ?? assert.fail()), network: prefix('10.0.0.0/8') },
      v6: undefined,
    };
    const surroundings = {
      ...SURROUNDINGS,
      localAddresses: [],
      connected: [],
      onLink: [prefix('172.16.0.0/12')],
      defaultGateways: [],
    };
    const bookOf = (count: number): PeerBook => {
      const many = Array.from({ length: count }, (_, index) =>
        put(`10.${index >> 8}.${index & 255}.0-24`, `172.16.${index >> 8}.${index & 255 || 1}`),
      );
      const book = bookIn({ ...CONTEXT, config, surroundings }, ...many);
      assert.equal(book.routes().length, count);
      return book;
    };
    const books = new Map([500, 16_000].map((count) => [count, bookOf(count)]));
    const cost = (count: number): number => {
      const book = books.get(count);
      return timed(() => {
        for (let round = 0; round < 200; round++) {
          const one = put('10.1.7.0-24', `172.17.0.${1 + (round % 250)}`, 9);
          assert.equal(book?.apply([one]).routes.length, 1);
        }
      });
    };
    const factor = await growth(cost, { small: 500, large: 16_000, limit: 8 });
    assert.ok(factor < 8, `32 times the leases cost ${factor.toFixed(1)} times as much`);
  });
});
