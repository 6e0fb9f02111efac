/**
 * The subnets whose keys have gone from etcd, by expiry or by delete, with the address that each last named. Their
 * hosts may come back for them: so they are offered last. Bounded: the one that left first is forgotten first.
 */
import type { NetworkConfig } from '../config/index.ts';
import { fits } from './allocator.ts';
import { parseSubnetName } from './codec.ts';
import type { LeaseChange } from './view.ts';

/** Name of the key to the address of its last holder ('': it named none), the one that left first first. */
export type DepartedSubnets = ReadonlyMap<string, string>;

const SUBNETS_MAX = 4_096;

export class Departed {
  readonly #max: number;
  readonly #holders = new Map<string, string>();

  constructor(max = SUBNETS_MAX) {
    this.#max = max;
  }

  get subnets(): DepartedSubnets {
    return this.#holders;
  }

  /** For the disk: `10.100.3.0-24 10.10.10.104`, the one that left first first. */
  get texts(): string[] {
    return Array.from(this.#holders, ([name, holder]) => `${name} ${holder}`.trimEnd());
  }

  /** Takes up what `texts` once gave; what it cannot read it leaves out. What is known already is newer, and stays last. */
  restore(texts: readonly string[]): void {
    const newer = [...this.#holders];
    this.#holders.clear();
    for (const text of texts) {
      const [name = '', holder = ''] = text.split(' ');
      if (parseSubnetName(name) !== undefined) this.#add(name, holder);
    }
    for (const [name, holder] of newer) this.#add(name, holder);
  }

  /**
   * Takes what changed in the view of all leases. Only what the config could give to a host is kept, where one is known:
   * anybody can put and delete keys at will, and must not make us forget by that.
   */
  note(changes: readonly LeaseChange[], config: NetworkConfig | undefined): void {
    for (const { name, read, before } of changes) {
      if (read !== undefined) this.#holders.delete(name);
      else if (before?.kind === 'lease' && (config === undefined || fits(config, before.lease))) {
        const { publicIp, publicIp6 } = before.lease;
        this.#add(name, publicIp?.text ?? publicIp6?.text ?? '');
      }
    }
  }

  #add(name: string, holder: string): void {
    this.#holders.delete(name);
    this.#holders.set(name, holder);
    if (this.#holders.size <= this.#max) return;
    const [first] = this.#holders.keys();
    if (first !== undefined) this.#holders.delete(first);
  }
}
