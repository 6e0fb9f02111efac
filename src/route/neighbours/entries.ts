/** The two views of the neighbour entries, wanted and actual, and what is to be done about an address. */
import {
  type KernelNeighbour,
  type Neighbour,
  type NeighbourOp,
  type NeighbourView,
  NUD,
  neighbourText,
} from './types.ts';

export interface Around {
  /** Entries are to be kept at all. */
  readonly active: boolean;
  /** Nothing is wanted but what is known. */
  readonly complete: boolean;
}

export class Entries {
  readonly #protocol: number;
  readonly #wanted = new Map<string, Neighbour>();
  /** What the last dump showed, and what was written since. */
  #actual = new Map<string, KernelNeighbour>();
  #live: ReadonlySet<number> = new Set();

  constructor(protocol: number) {
    this.#protocol = protocol;
  }

  get wanted(): ReadonlyMap<string, Neighbour> {
    return this.#wanted;
  }

  get ours(): KernelNeighbour[] {
    return [...this.#actual.values()].filter((entry) => this.#isOurs(entry));
  }

  /** Devices of what is wanted. */
  get devices(): number[] {
    return [...new Set(Array.from(this.#wanted.values(), ({ device }) => device))];
  }

  isLive(device: number): boolean {
    return this.#live.has(device);
  }

  /** Returns whether that is news. */
  want(neighbour: Neighbour, wanted: boolean): boolean {
    const key = neighbourText(neighbour);
    if (this.#wanted.has(key) === wanted) return false;
    if (wanted) this.#wanted.set(key, neighbour);
    else this.#wanted.delete(key);
    return true;
  }

  see({ live, neighbours }: NeighbourView): void {
    const actual = new Map<string, KernelNeighbour>();
    for (const entry of neighbours) actual.set(neighbourText(entry), entry);
    this.#actual = actual;
    this.#live = new Set(live);
  }

  /** The state of what is wanted; undefined where there is no entry, or no carrier that could bring an answer. */
  stateOf(key: string, { device }: Neighbour): number | undefined {
    return this.#live.has(device) ? this.#actual.get(key)?.state : undefined;
  }

  done({ kind, neighbour, protocol }: NeighbourOp): void {
    const key = neighbourText(neighbour);
    if (kind === 'delete') this.#actual.delete(key);
    else {
      const state = this.#actual.get(key)?.state ?? NUD.incomplete;
      this.#actual.set(key, { ...neighbour, state, protocol, learned: true, managed: true });
    }
  }

  judge(
    key: string,
    { device }: Neighbour,
    { active, complete }: Around,
  ): NeighbourOp['kind'] | undefined {
    const entry = this.#actual.get(key);
    if (!active || !this.#wanted.has(key)) {
      return complete && entry !== undefined && this.#isOurs(entry) ? 'delete' : undefined;
    }
    if (!this.#live.has(device)) return undefined;
    if (entry === undefined) return 'add';
    if (this.#isOurs(entry)) return entry.managed ? undefined : 'adopt';
    return isKernels(entry) ? 'adopt' : undefined;
  }

  /** Whoever fixes or relearns an entry of ours makes it theirs, although the kernel leaves our protocol number on it. */
  #isOurs({ protocol, learned, state }: KernelNeighbour): boolean {
    return protocol === this.#protocol && learned && state !== NUD.permanent;
  }
}

/** An entry that the kernel made by itself for traffic; everything else is somebody's. */
function isKernels({ protocol, learned, managed, state }: KernelNeighbour): boolean {
  const fixed = state === NUD.permanent || state === NUD.noarp;
  return protocol === 0 && !learned && !managed && !fixed;
}
