/** The route driver of the addon: packed batches over rtnetlink, one call in flight. */
import { sentenceOf } from '../../core/index.ts';
import { checkOps } from '../checkOps.ts';
import { errnoName, errnoText } from '../errno.ts';
import { checkNeighbourOps, type NeighbourDriver } from '../neighbours/types.ts';
import {
  type ApplyResult,
  type DumpFilter,
  type Hint,
  type KernelRoute,
  type OpFailure,
  type RouteDriver,
  RouteDriverError,
  type RouteOp,
} from '../types.ts';
import { Dumps } from './dumps.ts';
import type { Applied, NativeAddon, Netlink } from './loader.ts';
import { encodeNeighbourOps, NeighbourDumps } from './neighbours.ts';
import { encodeFilter, encodeOps } from './records.ts';

// The bits of native/rtnetlink/src/listen.rs.
const LINKS = 1;
const ADDRESSES = 2;
const ROUTES = 4;

/** Opens the addon's sockets. Throws RouteDriverError if the kernel gives none. */
export function openDriver(native: NativeAddon): RouteDriver {
  try {
    return new NativeDriver(new native.Netlink());
  } catch (error) {
    throw driverError(error);
  }
}

class NativeDriver implements RouteDriver {
  readonly name = 'native';
  readonly hearsSurroundings = true;
  readonly neighbours: NeighbourDriver = {
    dump: async ({ protocol, devices }) => {
      const dumped = this.#call(() => this.#netlink.dumpNeighbours(protocol, [...devices]));
      const { records, live } = await dumped;
      return { live, neighbours: this.#neighbourDumps.read(records) };
    },
    apply: async (ops) => {
      checkNeighbourOps(ops);
      const packed = encodeNeighbourOps(ops);
      return resultOf(await this.#call(() => this.#netlink.applyNeighbours(packed)));
    },
  };
  readonly #netlink: Netlink;
  readonly #dumps = new Dumps();
  readonly #neighbourDumps = new NeighbourDumps();
  #closed = false;
  /** Stands for the listener whose hints count. */
  #listening: object | undefined;
  /** Settles when the last call has: waiting here instead of on a lock in Rust holds no thread of the pool. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(netlink: Netlink) {
    this.#netlink = netlink;
  }

  async dump(filter: DumpFilter): Promise<readonly KernelRoute[]> {
    const packed = encodeFilter(filter);
    return this.#dumps.read(await this.#call(() => this.#netlink.dump(packed)));
  }

  async apply(ops: readonly RouteOp[]): Promise<ApplyResult> {
    checkOps(ops);
    const packed = encodeOps(ops);
    return resultOf(await this.#call(() => this.#netlink.apply(packed)));
  }

  async listen(filter: DumpFilter, onHint: (hint: Hint) => void): Promise<void> {
    this.#refuseIfClosed();
    const packed = encodeFilter(filter);
    const listening = {};
    try {
      this.#netlink.listen(packed, (bits) => {
        // A hint that was queued when its thread ended comes after close, or after a later listen.
        if (this.#listening === listening) onHint(hintOf(bits));
      });
    } catch (error) {
      throw driverError(error);
    }
    this.#listening = listening;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#listening = undefined;
    // The socket is shared with the call in flight.
    await this.#last;
    this.#netlink.close();
  }

  async #call<T>(start: () => Promise<T>): Promise<T> {
    this.#refuseIfClosed();
    const result = this.#last.then(start);
    // The chain goes on after a failure; the failure itself is the caller's.
    this.#last = result.catch(() => {});
    try {
      return await result;
    } catch (error) {
      throw driverError(error);
    }
  }

  #refuseIfClosed(): void {
    if (this.#closed) throw new RouteDriverError('the native route driver is closed');
  }
}

function resultOf(applied: Applied): ApplyResult {
  if (typeof applied.unknown === 'string') return { kind: 'unknown', reason: applied.unknown };
  const { failures: triples, messages } = applied;
  const failures: OpFailure[] = [];
  for (let at = 0; at + 2 < triples.length; at += 3) {
    const [index = 0, errno = 0, number = -1] = triples.subarray(at, at + 3);
    const message = messages[number] ?? errnoText(errno);
    failures.push({ index, errno, code: errnoName(errno), message });
  }
  return { kind: 'complete', failures };
}

function hintOf(bits: number): Hint {
  return {
    links: (bits & LINKS) !== 0,
    addresses: (bits & ADDRESSES) !== 0,
    routes: (bits & ROUTES) !== 0,
  };
}

function driverError(error: unknown): RouteDriverError {
  const reason = sentenceOf(error);
  return new RouteDriverError(reason, { cause: error });
}
