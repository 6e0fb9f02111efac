/**
 * Puts and deletes by the thousand while the way to etcd is cut, delayed and stalled at random: in the end a watch shows
 * exactly what etcd holds. A seed draws the writes and the faults.
 */
import assert from 'node:assert/strict';
import type { Etcd, WatchFeed } from '../../src/etcd/index.ts';
import { startEtcd } from '../support/etcd.ts';
import { seeded } from '../support/seeded.ts';
import { type TcpProxy, tcpProxy } from '../support/tcpProxy.ts';
import { until } from '../support/until.ts';
import { Mirror } from './mirror.ts';

const KEYS = 300;
/** Writes that are under way at a time. */
const WRITERS = 20;
const PATIENCE_MS = 60_000;

export interface Churned {
  readonly events: number;
  readonly snapshots: number;
  readonly faults: number;
}

/** Runs one etcd under `count` writes for each seed, and says how each went. */
export async function churn(seeds: readonly number[], count: number): Promise<Churned[]> {
  const server = await startEtcd();
  const direct = server.open();
  const results: Churned[] = [];
  try {
    for (const seed of seeds) {
      const proxy = await tcpProxy(server.port);
      const endpoints = [`http://127.0.0.1:${proxy.port}`];
      const watching = server.open({ endpoints });
      const result = await one(direct, watching, proxy, seed, count).catch((error: unknown) => {
        throw new Error(`SEED=${seed}: ${String(error)}`, { cause: error });
      });
      results.push(result);
      await watching.close();
      await proxy.close();
    }
  } finally {
    await server.stop();
  }
  return results;
}

async function one(
  direct: Etcd,
  watching: Etcd,
  proxy: TcpProxy,
  seed: number,
  count: number,
): Promise<Churned> {
  const random = seeded(seed);
  const prefix = `/churn/${seed}/`;
  const mirror = new Mirror();
  let broken: unknown;
  const abort = new AbortController();
  const take = (item: WatchFeed): void => {
    try {
      mirror.take(item);
    } catch (error) {
      broken ??= error;
    }
  };
  watching.watch(prefix, take, abort.signal);
  const faults = new Faults(proxy, random);
  let left = count;
  const writer = async (): Promise<void> => {
    for (; left > 0; left -= 1) {
      faults.maybe();
      await write(direct, prefix + Math.floor(random() * KEYS), random() < 0.3, left);
    }
  };
  await Promise.all(Array.from({ length: WRITERS }, writer));
  faults.heal();
  const { entries } = await direct.list(prefix);
  const wanted = entries.map((entry) => `${entry.key}=${entry.value}@${entry.modRevision}`);
  await until('the watch shows what etcd holds', () => mirror.same(wanted), PATIENCE_MS);
  await until('live', () => mirror.state === 'live', PATIENCE_MS);
  abort.abort();
  assert.equal(broken, undefined);
  return {
    events: mirror.eventRevisions.length,
    snapshots: mirror.snapshots,
    faults: faults.count,
  };
}

/** Again where etcd was too slow: that it may then be written twice is all the same to what is tested. */
async function write(etcd: Etcd, key: string, gone: boolean, value: number): Promise<void> {
  const put = { type: 'put', key, value: String(value), lease: '0' } as const;
  const writes = [gone ? ({ type: 'delete', key } as const) : put];
  const done = (): Promise<boolean> =>
    etcd.transact({ compare: [], writes }).then(
      () => true,
      () => false,
    );
  await until('etcd takes a write', done, PATIENCE_MS);
}

/** What befalls the way to etcd; a fault lasts for some writes. */
class Faults {
  readonly #proxy: TcpProxy;
  readonly #random: () => number;
  #stalledFor = 0;
  count = 0;

  constructor(proxy: TcpProxy, random: () => number) {
    this.#proxy = proxy;
    this.#random = random;
  }

  /** Once for each write: mostly nothing. */
  maybe(): void {
    if (this.#stalledFor > 0) {
      this.#stalledFor -= 1;
      if (this.#stalledFor === 0) this.#proxy.flow();
    }
    const chance = this.#random();
    if (chance < 0.004) this.#strike(() => this.#proxy.cut());
    else if (chance < 0.007) this.#strike(() => this.#proxy.delay(Math.floor(this.#random() * 40)));
    else if (chance < 0.009) this.#strike(() => this.#stall());
    else if (chance < 0.012) this.#strike(() => this.#proxy.delay(0));
  }

  heal(): void {
    this.#proxy.delay(0);
    this.#proxy.flow();
  }

  #stall(): void {
    this.#proxy.stall();
    this.#stalledFor = 20 + Math.floor(this.#random() * 400);
  }

  #strike(how: () => void): void {
    this.count += 1;
    how();
  }
}
