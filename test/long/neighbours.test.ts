/** `npm run long -- neighbours`: 5,000 peers that all answer, with the kernel's default limits and traffic to all at once. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { openNative } from '../../src/route/native/index.ts';
import { LiveKeeper, lostInOneRound, reachAll } from '../route/neighbours/many.ts';
import { openLinkPeers } from '../support/linkPeers.ts';
import { needs } from '../support/needs.ts';
import { FIGURES, inNetns } from '../support/netns.ts';

const COUNT = 5_000;
const ROUNDS = 20;
const skip = needs('root', 'ip', 'unshare', 'setpriv', 'nsenter', 'nft', 'native');

inNetns(import.meta.url, skip, (test) => {
  for (const family of [4, 6] as const) {
    test(`${COUNT} IPv${family} peers: all reached within 5 s and none lost after that, and with neighbours=off most are never reached`, async () => {
      const world = await openLinkPeers(COUNT, family);
      const opened = openNative();
      const driver = opened.kind === 'loaded' ? opened.driver : assert.fail(opened.reason);
      try {
        const off = new LiveKeeper(driver, world.device, 'off');
        off.want(world.peers);
        const without = await reachAll(world, 5_000);
        off.stop();
        assert.equal(off.status.kind, 'off');
        const keeper = new LiveKeeper(driver, world.device, 'auto');
        keeper.want(world.peers);
        const kept = await reachAll(world, 5_000);
        let lost = 0;
        for (let round = 0; round < ROUNDS; round += 1) lost += await lostInOneRound(world);
        keeper.stop();
        process.stdout.write(
          `${FIGURES}IPv${family}, ${COUNT} peers, gc_thresh3 ${limitOf(family)}: off ${without.count} reached in ${without.ms} ms; ` +
            `auto ${kept.count} in ${kept.ms} ms, then ${lost} lost of ${ROUNDS * COUNT}\n`,
        );
        assert.equal(kept.count, COUNT);
        assert.equal(lost, 0);
        // On a machine with room for all nothing is missing without entries either.
        const limit = limitOf(family);
        if (limit < COUNT) assert.ok(without.count <= limit, `${without.count} reached`);
      } finally {
        await driver.close();
        await world.close();
      }
    });
  }
});

/** The limit of the whole machine; it cannot be seen from within a namespace, where the default is taken. */
function limitOf(family: 4 | 6): number {
  try {
    return Number(readFileSync(`/proc/sys/net/ipv${family}/neigh/default/gc_thresh3`, 'utf8'));
  } catch {
    return 1024;
  }
}
