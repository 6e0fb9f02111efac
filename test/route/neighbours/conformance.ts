/** One suite for the neighbour side of every driver, so that the fake one is held to the real kernel. */
import assert from 'node:assert/strict';
import { run } from '../../../src/core/index.ts';
import {
  type KernelNeighbour,
  type Neighbour,
  type NeighbourDriver,
  type NeighbourOp,
  NUD,
  neighbourText,
} from '../../../src/route/neighbours/types.ts';
import { FakeKernel } from '../../support/fakeKernel.ts';
import type { Case } from '../../support/netns.ts';
import { until } from '../../support/until.ts';
import { address } from '../samples.ts';
import { HOST_V4, HOST_V6, kernelWorld } from '../world.ts';

const PROTOCOL = 77;
const MAC = '02:00:00:00:00:01';

/** One link, up and with carrier, and nobody behind it. */
export interface NeighbourWorld {
  readonly driver: NeighbourDriver;
  readonly device: number;
  /** As `ip neigh add`, with a MAC, by somebody else; `permanent` or as if the kernel had learned it. */
  foreign(neighbour: Neighbour, permanent: boolean): Promise<void>;
  setCarrier(carrier: boolean): Promise<void>;
  close(): Promise<void>;
}

export async function fakeNeighbourWorld(): Promise<NeighbourWorld> {
  const kernel = new FakeKernel();
  const device = kernel.addLink('eth0');
  kernel.addAddress(device, HOST_V4);
  kernel.addAddress(device, HOST_V6);
  return {
    driver: kernel.neighbours.driver(),
    device,
    foreign: async (neighbour, permanent) =>
      kernel.neighbours.put({ ...neighbour, state: permanent ? NUD.permanent : NUD.stale }),
    setCarrier: async (carrier) => kernel.setLink(device, { carrier }),
    close: async () => {},
  };
}

export async function realNeighbourWorld(
  open: Parameters<typeof kernelWorld>[0],
): Promise<NeighbourWorld> {
  const world = await kernelWorld(open);
  const { neighbours } = world.driver;
  assert.ok(neighbours);
  return {
    driver: neighbours,
    device: world.device,
    async foreign(neighbour, permanent) {
      const nud = permanent ? 'permanent' : 'stale';
      const words = `neigh add ${neighbour.address.text} dev if${neighbour.device} lladdr ${MAC} nud ${nud}`;
      const { code, stderr } = await run('ip', words.split(' '));
      assert.equal(code, 0, stderr);
    },
    setCarrier: (carrier) => world.setLink({ carrier }),
    close: () => world.close(),
  };
}

export function neighbourSuite(test: Case, open: () => Promise<NeighbourWorld>): void {
  const inWorld = (name: string, body: (world: NeighbourWorld) => Promise<void>): void =>
    test(name, async () => {
      const world = await open();
      try {
        await body(world);
      } finally {
        await world.close();
      }
    });
  for (const [family, gateways] of Object.entries(FAMILIES)) {
    const [first, second, third] = gateways;
    const op = (world: NeighbourWorld, kind: NeighbourOp['kind'], text: string): NeighbourOp => ({
      kind,
      neighbour: { address: address(text), device: world.device },
      protocol: PROTOCOL,
    });

    inWorld(`${family}: what was added is learned, managed and of our protocol`, async (world) => {
      assert.deepEqual(await codes(world, [op(world, 'add', first)]), []);
      const entry = await find(world, first);
      assert.deepEqual([entry?.learned, entry?.managed, entry?.protocol], [true, true, PROTOCOL]);
      assert.deepEqual(await codes(world, [op(world, 'delete', first)]), []);
      assert.equal(await find(world, first), undefined);
    });

    inWorld(`${family}: an entry that is there is neither added nor changed by that`, async (w) => {
      await w.foreign({ address: address(first), device: w.device }, true);
      assert.deepEqual(await codes(w, [op(w, 'add', first)]), ['0 EEXIST']);
      const entry = await find(w, first);
      assert.deepEqual([entry?.state, entry?.protocol], [NUD.permanent, 0]);
    });

    inWorld(`${family}: adoption makes an entry ours, and makes none`, async (world) => {
      await world.foreign({ address: address(first), device: world.device }, false);
      const failures = await codes(world, [op(world, 'adopt', second), op(world, 'adopt', first)]);
      assert.deepEqual(failures, ['0 ENOENT']);
      const entry = await find(world, first);
      assert.deepEqual([entry?.learned, entry?.managed, entry?.protocol], [true, true, PROTOCOL]);
      assert.equal(await find(world, second), undefined);
    });

    inWorld(
      `${family}: a failing operation is named and stops none of the others`,
      async (world) => {
        await world.foreign({ address: address(second), device: world.device }, true);
        const failures = await codes(world, [
          op(world, 'delete', third),
          op(world, 'add', first),
          op(world, 'add', second),
          op(world, 'adopt', third),
          op(world, 'add', third),
          op(world, 'add', third),
        ]);
        assert.deepEqual(failures, ['0 ENOENT', '2 EEXIST', '3 ENOENT', '5 EEXIST']);
        assert.ok((await find(world, first)) && (await find(world, third)));
      },
    );

    inWorld(
      `${family}: a lost carrier flushes entries and shows as a link that is not live`,
      async (world) => {
        await world.foreign({ address: address(second), device: world.device }, true);
        await codes(world, [op(world, 'add', first)]);
        const filter = { protocol: PROTOCOL, devices: [world.device] };
        assert.deepEqual((await world.driver.dump(filter)).live, [world.device]);
        await world.setCarrier(false);
        await until('the entry is flushed', async () => (await find(world, first)) === undefined);
        assert.deepEqual((await world.driver.dump(filter)).live, []);
        assert.equal((await find(world, second))?.state, NUD.permanent);
        await world.setCarrier(true);
        const live = async () => (await world.driver.dump(filter)).live.length === 1;
        await until('the link is live again', live);
        assert.equal(await find(world, first), undefined, 'the kernel brings none back');
      },
    );

    inWorld(
      `${family}: a dump shows ours on any device, and others on the named ones`,
      async (world) => {
        await codes(world, [op(world, 'add', first)]);
        await world.foreign({ address: address(second), device: world.device }, true);
        const seen = async (devices: number[]) => {
          const { neighbours } = await world.driver.dump({ protocol: PROTOCOL, devices });
          const texts = neighbours.map(({ address: { text } }) => text);
          return [texts.includes(first), texts.includes(second)];
        };
        assert.deepEqual(await seen([]), [true, false]);
        assert.deepEqual(await seen([999_999]), [true, false]);
        assert.deepEqual(await seen([world.device]), [true, true]);
      },
    );
  }

  inWorld('an empty batch does nothing', async (world) => {
    assert.deepEqual(await codes(world, []), []);
  });

  inWorld(
    'an operation that cannot be encoded is refused by name, and nothing is sent',
    async (w) => {
      const neighbour = { address: address('10.10.10.9'), device: w.device };
      const good: NeighbourOp = { kind: 'add', neighbour, protocol: PROTOCOL };
      for (const bad of [
        { ...good, protocol: 0 },
        { ...good, protocol: 256 },
        { ...good, neighbour: { ...neighbour, device: 0 } },
      ]) {
        await assert.rejects(w.driver.apply([good, bad]), {
          name: 'RangeError',
          message: /^operation 1: /,
        });
      }
      assert.equal(await find(w, '10.10.10.9'), undefined);
    },
  );

  inWorld('a device that is not there is a failure of its operations', async (world) => {
    const neighbour = { address: address('10.10.10.9'), device: 999_999 };
    const failures = await codes(world, [{ kind: 'add', neighbour, protocol: PROTOCOL }]);
    assert.deepEqual(failures, ['0 ENODEV']);
  });
}

const FAMILIES = {
  IPv4: ['10.10.10.9', '10.10.10.10', '10.10.10.11'],
  IPv6: ['fd00::9', 'fd00::a', 'fd00::b'],
} as const;

async function codes({ driver }: NeighbourWorld, ops: readonly NeighbourOp[]): Promise<string[]> {
  const result = await driver.apply(ops);
  if (result.kind !== 'complete') return assert.fail(result.reason);
  for (const { message } of result.failures) assert.notEqual(message, '');
  return result.failures.map(({ index, code }) => `${index} ${code}`);
}

async function find(
  { driver, device }: NeighbourWorld,
  text: string,
): Promise<KernelNeighbour | undefined> {
  const { neighbours } = await driver.dump({ protocol: PROTOCOL, devices: [device] });
  const key = neighbourText({ address: address(text), device });
  return neighbours.find((entry) => neighbourText(entry) === key);
}
