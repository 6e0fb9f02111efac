/**
 * Etcd's word on one key, asked for at once and apart from the watch, which takes its time: with it the leases on disk
 * are as good as etcd's where our own subnet is judged.
 */
import type { Etcd } from '../etcd/index.ts';
import { type ReadLease, readLease } from '../lease/index.ts';
import type { AgentPorts } from './ports.ts';
import { pause } from './uplink.ts';

const AGAIN_MS = 50;

interface Key {
  /** Ends in `/subnets/`. */
  readonly prefix: string;
  readonly name: string;
}

export class KeyWord {
  readonly #ports: AgentPorts;
  #told: { readonly name: string; readonly read: ReadLease | undefined } | undefined;

  constructor(ports: AgentPorts) {
    this.#ports = ports;
  }

  /** Etcd has said that there is no such key. */
  get absent(): boolean {
    return this.#told !== undefined && this.#told.read === undefined;
  }

  /** Asks until etcd answers, for so long. Resolves when it has, or will not any more. */
  async ask({ prefix, name }: Key, ms: number, signal: AbortSignal): Promise<void> {
    const { clock, etcd } = this.#ports;
    const end = clock.now() + ms;
    while (clock.now() < end && !signal.aborted) {
      const answer = await answerOf(etcd, prefix + name);
      if (answer !== undefined) {
        const { entry } = answer;
        this.#told = { name, read: entry && readLease(name, entry) };
        return;
      }
      await pause(this.#ports, AGAIN_MS, signal);
    }
  }

  /** These leases, with that key as etcd has it. */
  over(leases: ReadonlyMap<string, ReadLease>): ReadonlyMap<string, ReadLease> {
    if (this.#told === undefined) return leases;
    const { name, read } = this.#told;
    const newest = new Map(leases);
    if (read === undefined) newest.delete(name);
    else newest.set(name, read);
    return newest;
  }
}

/** Undefined: none. Why is said by the watch, which asks the same etcd. */
const answerOf = (
  etcd: Etcd,
  key: string,
): Promise<{ readonly entry: Awaited<ReturnType<Etcd['get']>> } | undefined> =>
  etcd.get(key).then(
    (entry) => ({ entry }),
    () => undefined,
  );
