/** Whether the gateways are many for the kernel's neighbour tables, with hysteresis, so that a count at the edge does not flap. */
import type { Family } from '../../ip/index.ts';
import type { NeighbourLimits, NeighbourNeed } from './keeperTypes.ts';

/** The kernel's defaults, which hold wherever nobody set others. */
export const DEFAULT_LIMITS: NeighbourLimits = { 4: 1024, 6: 1024 };

const FAMILIES: readonly Family[] = [4, 6];

export class Need {
  readonly #count: Record<Family, number> = { 4: 0, 6: 0 };
  readonly #many: Record<Family, boolean> = { 4: false, 6: false };
  #limits = DEFAULT_LIMITS;

  setLimits(limits: NeighbourLimits): void {
    this.#limits = limits;
    for (const family of FAMILIES) this.#judge(family);
  }

  /** So many gateways of a family came (or went, where negative). */
  add(family: Family, count: number): void {
    this.#count[family] += count;
    this.#judge(family);
  }

  /** The first family whose gateways are many. */
  get now(): NeighbourNeed | undefined {
    const family = FAMILIES.find((each) => this.#many[each]);
    if (family === undefined) return undefined;
    const room = 2 ** Math.ceil(Math.log2(this.#count[family] + 1));
    return { family, limit: this.#limits[family], room };
  }

  /** Half of the table: others use it too, and the kernel starts to throw entries out before it is full. */
  #judge(family: Family): void {
    const count = this.#count[family];
    const limit = this.#limits[family];
    if (count >= limit / 2) this.#many[family] = true;
    else if (count < limit / 4) this.#many[family] = false;
  }
}
