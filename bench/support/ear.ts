/**
 * Hears the kernel change an agent's routes, by a listener of our own, and says when. A figure that ends in it is too
 * large by what lies between the kernel's event and this process's word, 0.1 to 0.2 ms where a processor is free, and up
 * to 1 ms more for an event that follows another within 1 ms; never too small.
 */
import { openNative } from '../../src/route/native/index.ts';
import { type RouteDriver, TABLE_MAIN } from '../../src/route/types.ts';
import { prove } from './bench.ts';
import { countPrefixes } from './kernel.ts';

/** The agent's default for --route-protocol. */
const PROTOCOL = 104;

export class Ear {
  readonly #driver: RouteDriver;
  #heard: (() => void) | undefined;

  private constructor(driver: RouteDriver) {
    this.#driver = driver;
  }

  static async open(): Promise<Ear> {
    const native = openNative();
    if (native.kind !== 'loaded') throw new Error(native.reason);
    const ear = new Ear(native.driver);
    const filter = { table: TABLE_MAIN, protocol: PROTOCOL, within: [] };
    await native.driver.listen(filter, ({ routes }) => routes && ear.#heard?.());
    return ear;
  }

  /** Resolves to the time (performance.now) of the next change. */
  next(timeoutMs: number): Promise<number> {
    return this.#until(() => true, timeoutMs, 'a change of routes');
  }

  /** Resolves to the time at which there are `count` prefixes in the kernel; the last word is its own count. */
  async count(count: number, timeoutMs: number): Promise<number> {
    if (countPrefixes() === count) return performance.now();
    const at = await this.#until(
      () => countPrefixes() === count,
      timeoutMs,
      `${count} prefixes`,
      () => `${countPrefixes()} are there`,
    );
    prove(countPrefixes() === count, 'the kernel still has as many');
    return at;
  }

  close(): Promise<void> {
    return this.#driver.close();
  }

  #until(
    done: () => boolean,
    timeoutMs: number,
    what: string,
    found = (): string => 'there was none',
  ): Promise<number> {
    return new Promise((resolve, reject) => {
      const end = (): void => {
        clearTimeout(timer);
        this.#heard = undefined;
      };
      const timer = setTimeout(() => {
        end();
        reject(new Error(`${what}: not within ${timeoutMs} ms; ${found()}`));
      }, timeoutMs);
      this.#heard = () => {
        const at = performance.now();
        if (!done()) return;
        end();
        resolve(at);
      };
    });
  }
}
