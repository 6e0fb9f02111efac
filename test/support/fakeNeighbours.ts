/** The fake kernel's neighbour table: behaves as measured on Linux 6.18, and on request as a kernel before 5.16. */
import { errnoName, errnoText } from '../../src/route/errno.ts';
import {
  checkNeighbourOps,
  type KernelNeighbour,
  type Neighbour,
  type NeighbourDriver,
  type NeighbourFilter,
  type NeighbourOp,
  type NeighbourView,
  NUD,
  neighbourText,
} from '../../src/route/neighbours/types.ts';
import { type ApplyResult, type OpFailure, RouteDriverError } from '../../src/route/types.ts';

export interface FakeNeighbourPorts {
  /** Undefined where there is no such device; else whether it is up and has a carrier. */
  readonly isLive: (device: number) => boolean | undefined;
  /** Does `work` when its turn comes. */
  readonly call: <T>(name: string, work: () => T) => Promise<T>;
}

export class FakeNeighbours {
  /** Every operation that was done, as `add 10.0.0.9 dev 2`. */
  readonly journal: string[] = [];
  /** Addresses that answer on the link. */
  readonly answering = new Set<string>();
  /** A kernel before 5.16 takes the flag of managed entries and forgets it. */
  old = false;
  /** The next call of a kind rejects, or its replies are lost. */
  trouble: 'dump' | 'apply' | 'unknown' | undefined;
  readonly #ports: FakeNeighbourPorts;
  readonly #table = new Map<string, KernelNeighbour>();

  constructor(ports: FakeNeighbourPorts) {
    this.#ports = ports;
  }

  driver(): NeighbourDriver {
    return {
      dump: (filter) => this.#ports.call('dump neighbours', () => this.#dump(filter)),
      apply: async (ops) => {
        checkNeighbourOps(ops);
        return this.#ports.call('apply neighbours', () => this.#apply(ops));
      },
    };
  }

  /** As they are now; a managed entry is what its neighbour makes of it. */
  entries(): KernelNeighbour[] {
    return Array.from(this.#table.values(), (entry) => {
      if (!entry.managed) return entry;
      const state = this.answering.has(entry.address.text) ? NUD.reachable : NUD.failed;
      return { ...entry, state };
    });
  }

  /** Somebody else, or the kernel itself, writes an entry over whatever is there. */
  put(entry: Neighbour & Partial<KernelNeighbour>): void {
    const plain = { state: NUD.stale, protocol: 0, learned: false, managed: false };
    this.#table.set(neighbourText(entry), { ...plain, ...entry });
  }

  /** Somebody else takes an entry away. */
  take(neighbour: Neighbour): void {
    this.#table.delete(neighbourText(neighbour));
  }

  /** The device lost its carrier: only PERMANENT entries stay. Or it is gone, and everything with it. */
  flush(device: number): void {
    const isGone = this.#ports.isLive(device) === undefined;
    for (const [key, entry] of this.#table) {
      const stays = entry.state === NUD.permanent && !isGone;
      if (entry.device === device && !stays) this.#table.delete(key);
    }
  }

  #dump({ protocol, devices }: NeighbourFilter): NeighbourView {
    if (this.#strikes('dump')) throw new RouteDriverError('armed: the dump was interrupted');
    return {
      live: devices.filter((device) => this.#ports.isLive(device) === true),
      neighbours: this.entries().filter(
        (entry) => entry.protocol === protocol || devices.includes(entry.device),
      ),
    };
  }

  #apply(ops: readonly NeighbourOp[]): ApplyResult {
    if (this.#strikes('apply')) throw new RouteDriverError('armed: nothing was sent');
    const lost = this.#strikes('unknown');
    const failures: OpFailure[] = [];
    ops.slice(0, lost ? ops.length >> 1 : ops.length).forEach((op, index) => {
      const errno = this.#perform(op);
      if (errno === undefined) this.journal.push(`${op.kind} ${neighbourText(op.neighbour)}`);
      else failures.push({ index, errno, code: errnoName(errno), message: errnoText(errno) });
    });
    return lost ? { kind: 'unknown', reason: 'armed' } : { kind: 'complete', failures };
  }

  #perform({ kind, neighbour, protocol }: NeighbourOp): number | undefined {
    const key = neighbourText(neighbour);
    const entry = this.#table.get(key);
    if (this.#ports.isLive(neighbour.device) === undefined) return 19;
    if (kind === 'add' && entry !== undefined) return 17;
    if (kind !== 'add' && entry === undefined) return 2;
    if (kind === 'delete') this.#table.delete(key);
    else {
      const state = entry?.state ?? NUD.incomplete;
      this.put({ ...neighbour, state, protocol, learned: true, managed: !this.old });
    }
    return undefined;
  }

  #strikes(kind: NonNullable<FakeNeighbours['trouble']>): boolean {
    if (this.trouble !== kind) return false;
    this.trouble = undefined;
    return true;
  }
}
