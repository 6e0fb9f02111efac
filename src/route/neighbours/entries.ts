/** The two views of the neighbour entries, wanted and actual, and what is to be done about an address. */
import { ByNeighbour } from './byNeighbour.ts';
import {
  type KernelNeighbour,
  type Neighbour,
  type NeighbourOp,
  type NeighbourView,
  NUD,
} from './types.ts';

export interface Around {
  /** Entries are to be kept at all. */
  readonly active: boolean;
  /** Nothing is wanted but what is known. */
  readonly complete: boolean;
}

export class Entries {
  readonly #protocol: number;
  readonly #wanted = new ByNeighbour<Neighbour>();
  /** What the last dump showed, and what was written since. */
  readonly #actual = new ByNeighbour<KernelNeighbour>();
  #live: ReadonlySet<number> = new Set();
  /** What the last dump gave, while nothing was written since. */
  #seen: readonly KernelNeighbour[] | undefined;

  constructor(protocol: number) {
    this.#protocol = protocol;
  }

  get wanted(): readonly Neighbour[] {
    return this.#wanted.values();
  }

  get ours(): KernelNeighbour[] {
    return this.#actual.values().filter((entry) => this.#isOurs(entry));
  }

  /** Whether the kernel keeps entries resolved, as ours show it: one before 5.16 takes the flags and forgets them. */
  get managing(): boolean | undefined {
    const { ours } = this;
    return ours.length === 0 ? undefined : ours.some(({ managed }) => managed);
  }

  /** Devices of what is wanted. */
  get devices(): number[] {
    return this.#wanted.devices;
  }

  isLive(device: number): boolean {
    return this.#live.has(device);
  }

  /** Returns whether that is news. */
  want(neighbour: Neighbour, wanted: boolean): boolean {
    if (this.#wanted.has(neighbour) === wanted) return false;
    if (wanted) this.#wanted.set(neighbour, neighbour);
    else this.#wanted.delete(neighbour);
    return true;
  }

  /** Returns whether that is news: a dump in which nothing has changed costs a glance. */
  see({ live, neighbours }: NeighbourView): boolean {
    const news = neighbours !== this.#seen || !isSameSet(this.#live, live);
    if (!news) return false;
    this.#seen = neighbours;
    // In place: most are as they were, and there may be thousands each ten seconds.
    for (const entry of neighbours) this.#actual.set(entry, entry);
    if (this.#actual.size > neighbours.length) {
      const seen = new Set(neighbours);
      for (const entry of this.#actual.values()) if (!seen.has(entry)) this.#actual.delete(entry);
    }
    this.#live = new Set(live);
    return true;
  }

  /** The state of what is wanted; undefined where there is no entry, or no carrier that could bring an answer. */
  stateOf(neighbour: Neighbour): number | undefined {
    return this.#live.has(neighbour.device) ? this.#actual.get(neighbour)?.state : undefined;
  }

  done({ kind, neighbour, protocol }: NeighbourOp): void {
    this.#seen = undefined;
    if (kind === 'delete') this.#actual.delete(neighbour);
    else {
      const state = this.#actual.get(neighbour)?.state ?? NUD.incomplete;
      this.#actual.set(neighbour, { ...neighbour, state, protocol, learned: true, managed: true });
    }
  }

  judge(neighbour: Neighbour, { active, complete }: Around): NeighbourOp['kind'] | undefined {
    const entry = this.#actual.get(neighbour);
    if (!active || !this.#wanted.has(neighbour)) {
      return complete && entry !== undefined && this.#isOurs(entry) ? 'delete' : undefined;
    }
    if (!this.#live.has(neighbour.device)) return undefined;
    if (entry === undefined) return 'add';
    if (this.#isOurs(entry)) return entry.managed ? undefined : 'adopt';
    return isKernels(entry) ? 'adopt' : undefined;
  }

  /** Whoever fixes or relearns an entry of ours makes it theirs, although the kernel leaves our protocol number on it. */
  #isOurs({ protocol, learned, state }: KernelNeighbour): boolean {
    return protocol === this.#protocol && learned && state !== NUD.permanent;
  }
}

const isSameSet = (set: ReadonlySet<number>, list: readonly number[]): boolean =>
  set.size === list.length && list.every((one) => set.has(one));

/** An entry that the kernel made by itself for traffic; everything else is somebody's. */
function isKernels({ protocol, learned, managed, state }: KernelNeighbour): boolean {
  const fixed = state === NUD.permanent || state === NUD.noarp;
  return protocol === 0 && !learned && !managed && !fixed;
}
