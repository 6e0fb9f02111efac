/** Six hundred peers on a real link, more than half of the neighbour table's default limit, on every driver. */
import assert from 'node:assert/strict';
import { openIpDriver } from '../../../src/route/ip/index.ts';
import { openNative } from '../../../src/route/native/index.ts';
import type { NeighbourDriver } from '../../../src/route/neighbours/types.ts';
import type { RouteDriver } from '../../../src/route/types.ts';
import { type LinkPeers, openLinkPeers } from '../../support/linkPeers.ts';
import { silentLog } from '../../support/log.ts';
import { needs } from '../../support/needs.ts';
import { inNetns } from '../../support/netns.ts';
import { until } from '../../support/until.ts';
import { address } from '../samples.ts';
import { LiveKeeper, lostInOneRound, PROTOCOL, reachAll } from './many.ts';

const COUNT = 600;
const skip = needs('root', 'ip', 'unshare', 'setpriv', 'nsenter', 'nft');
const DRIVERS: Readonly<Record<string, () => Promise<RouteDriver>>> = {
  ip: () => openIpDriver({ log: silentLog }),
  ...(needs('native') === undefined && {
    native: async () => {
      const opened = openNative();
      return opened.kind === 'loaded' ? opened.driver : assert.fail(opened.reason);
    },
  }),
};

inNetns(import.meta.url, skip, (test) => {
  for (const [name, open] of Object.entries(DRIVERS)) {
    const inWorld =
      (
        family: 4 | 6,
        body: (
          world: LinkPeers,
          driver: RouteDriver & { neighbours: NeighbourDriver },
        ) => Promise<void>,
      ) =>
      async () => {
        const world = await openLinkPeers(COUNT, family);
        const driver = await open();
        const { neighbours } = driver;
        assert.ok(neighbours);
        try {
          await body(world, Object.assign(driver, { neighbours }));
        } finally {
          await driver.close();
          await world.close();
        }
      };

    for (const family of [4, 6] as const) {
      const title = `${name}: ${COUNT} IPv${family} peers are all reached, and go when they are not wanted`;
      test(
        title,
        inWorld(family, async (world, { neighbours, ...driver }) => {
          const keeper = new LiveKeeper({ ...driver, neighbours }, world.device, 'auto');
          keeper.want(world.peers);
          keeper.complete();
          const { count } = await reachAll(world, 30_000);
          assert.equal(count, COUNT);
          await until('all are known to answer', () => reachable(keeper) === COUNT);
          // Those that the kernel made for the first packets are adopted.
          const kept = async () => (await ours(neighbours, world.device)).length === COUNT;
          await until('all are kept', kept);
          assert.equal(await lostInOneRound(world), 0);
          keeper.want(world.peers.slice(0, 50), false);
          const left = async () => (await ours(neighbours, world.device)).length === COUNT - 50;
          await until('the entries of 50 are gone', left);
          assert.deepEqual([keeper.status, keeper.troubles], [{ kind: 'kept' }, []]);
          keeper.stop();
        }),
      );
    }

    test(
      `${name}: a lost carrier is no failure, and when it is back all entries are set again`,
      inWorld(4, async (world, driver) => {
        const keeper = new LiveKeeper(driver, world.device, 'auto');
        const filter = { table: 254, protocol: PROTOCOL, within: [] };
        await driver.listen(filter, (hint) => hint.links && keeper.hint());
        keeper.want(world.peers);
        await until('all are known to answer', () => reachable(keeper) === COUNT);
        await world.setCarrier(false);
        await until('nothing is known of them', () => reachable(keeper) === 0);
        assert.equal([...keeper.reached.values()].filter((each) => each === 'failed').length, 0);
        await world.setCarrier(true);
        const set = async () => (await ours(driver.neighbours, world.device)).length === COUNT;
        await until('all are set again', set);
        assert.equal((await reachAll(world, 30_000)).count, COUNT);
        keeper.stop();
      }),
    );

    test(
      `${name}: after a kill -9 the next one takes the entries over, and writes only what changed`,
      inWorld(4, async (world, driver) => {
        const first = new LiveKeeper(driver, world.device, 'auto');
        first.want(world.peers);
        const set = async () => (await ours(driver.neighbours, world.device)).length === COUNT;
        await until('all are set', set);
        first.stop();
        // What the next one has not been told of stays until it has been told of everything.
        const gone = world.peers.slice(0, 20);
        const writes: string[] = [];
        const noted: NeighbourDriver = {
          dump: (filter) => driver.neighbours.dump(filter),
          apply: (ops) => {
            writes.push(...ops.map((op) => `${op.kind} ${op.neighbour.address.text}`));
            return driver.neighbours.apply(ops);
          },
        };
        const next = new LiveKeeper({ ...driver, neighbours: noted }, world.device, 'auto');
        next.want(world.peers.slice(20));
        await until('all are known to answer', () => reachable(next) === COUNT - 20);
        assert.deepEqual(writes, []);
        assert.equal((await ours(driver.neighbours, world.device)).length, COUNT);
        next.complete();
        await until('those that nobody wants are gone', () => writes.length === 20);
        assert.deepEqual(writes.sort(), gone.map(({ text }) => `delete ${text}`).sort());
        assert.equal(await lostInOneRound(world), 0);
        next.stop();
      }),
    );

    test(
      `${name}: who does not answer is said to have failed, and entries of others stay as they are`,
      inWorld(4, async (world, driver) => {
        const keeper = new LiveKeeper(driver, world.device, 'on');
        const dead = [address('10.30.0.7'), address('10.30.0.8')];
        const foreign = { address: address('10.30.0.9'), device: world.device };
        await driver.neighbours.apply([{ kind: 'add', neighbour: foreign, protocol: 42 }]);
        keeper.want([...dead, foreign.address, ...world.peers.slice(0, 5)]);
        const failed = () => dead.every(({ text }) => keeper.reached.get(text) === 'failed');
        await until('both have failed', failed);
        assert.equal(reachable(keeper), 5);
        keeper.complete();
        keeper.want([...dead, foreign.address], false);
        const left = async () => (await ours(driver.neighbours, world.device)).length === 5;
        await until('ours are gone', left);
        const { neighbours } = await driver.neighbours.dump({ protocol: 42, devices: [] });
        assert.deepEqual(
          neighbours.map((entry) => [entry.address.text, entry.protocol, entry.managed]),
          [[foreign.address.text, 42, true]],
        );
        keeper.stop();
      }),
    );
  }
});

const reachable = ({ reached }: LiveKeeper): number =>
  [...reached.values()].filter((each) => each === 'reachable').length;

async function ours(driver: NeighbourDriver, device: number) {
  const { neighbours } = await driver.dump({ protocol: PROTOCOL, devices: [device] });
  return neighbours.filter((entry) => entry.protocol === PROTOCOL && entry.managed);
}
