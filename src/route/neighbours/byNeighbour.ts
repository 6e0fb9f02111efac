/** A map by neighbour. Its keys are numbers: a text for each of thousands of neighbours would cost more than what it leads to. */
import type { Address } from '../../ip/index.ts';
import type { Neighbour } from './types.ts';

export class ByNeighbour<T> {
  /** By device, then by the address's value, in which the families never meet. */
  readonly #devices = new Map<number, Map<Address['value'], T>>();

  get size(): number {
    let size = 0;
    for (const { size: of } of this.#devices.values()) size += of;
    return size;
  }

  /** Of what is in the map. */
  get devices(): number[] {
    return [...this.#devices.keys()];
  }

  get({ address, device }: Neighbour): T | undefined {
    return this.#devices.get(device)?.get(address.value);
  }

  has({ address, device }: Neighbour): boolean {
    return this.#devices.get(device)?.has(address.value) ?? false;
  }

  set({ address, device }: Neighbour, value: T): void {
    const known = this.#devices.get(device);
    if (known === undefined) this.#devices.set(device, new Map([[address.value, value]]));
    else known.set(address.value, value);
  }

  delete({ address, device }: Neighbour): void {
    const known = this.#devices.get(device);
    known?.delete(address.value);
    if (known?.size === 0) this.#devices.delete(device);
  }

  clear(): void {
    this.#devices.clear();
  }

  /** As they are now; an array, since a generator makes an object of each step. */
  values(): T[] {
    return [...this.#devices.values()].flatMap((known) => [...known.values()]);
  }
}
