/**
 * Our own subnet before etcd has shown all leases, by the disk's word: state and view on disk must agree, and etcd's
 * answer about this one key, asked for at once and apart from the watch, counts for more. Held after a moment.
 */
import type { NetworkConfig } from '../config/index.ts';
import {
  type DiskView,
  fits,
  type HeldSubnet,
  heldByDisk,
  type Leases,
  type PublicAddresses,
} from '../lease/index.ts';
import { silenceText, unheldText } from './diskText.ts';
import { KeyWord } from './keyWord.ts';
import type { LeaseSideOptions } from './leaseSideTypes.ts';
import type { AgentPorts } from './ports.ts';

/** So long etcd's word on our own key is waited for before the disk's counts. */
const WORD_MS = 500;

/** What the lease side knows by now. */
interface Seen {
  /** The leases are etcd's, all of them. */
  readonly complete: boolean;
  readonly held: boolean;
  readonly leases: Leases;
  readonly config: NetworkConfig | undefined;
  readonly here: PublicAddresses;
}

interface OwnByDiskEvents {
  expected(lease: HeldSubnet): void;
  unexpected(): void;
  /** Nothing is expected, and etcd cannot be asked why. */
  unheld(sentence: string): void;
  /** The moment is over: it is held now. `leases` are the best that are known; `reason` is a clause. */
  hold(config: NetworkConfig, reason: string, leases: Leases): void;
}

export class OwnByDisk {
  readonly #ports: AgentPorts;
  readonly #options: LeaseSideOptions;
  readonly #seen: () => Seen;
  readonly #events: OwnByDiskEvents;
  readonly #word: KeyWord;
  #expecting = false;

  constructor(
    ports: AgentPorts,
    options: LeaseSideOptions,
    seen: () => Seen,
    events: OwnByDiskEvents,
  ) {
    this.#ports = ports;
    this.#options = options;
    this.#seen = seen;
    this.#events = events;
    this.#word = new KeyWord(ports);
  }

  /** Once the view on disk has been taken in. */
  start(disk: DiskView): void {
    const lease = this.#lease;
    if (lease === undefined) return this.#sayUnheld();
    this.#expecting = true;
    this.#events.expected(lease);
    const { etcdPrefix, signal } = this.#options;
    const key = { prefix: `${etcdPrefix}/subnets/`, name: lease.name };
    void this.#word.ask(key, WORD_MS, signal).then(() => this.look());
    const { clock } = this.#ports;
    const cancel = clock.at(clock.now() + WORD_MS, () => this.#hold(disk));
    signal.addEventListener('abort', cancel, { once: true });
  }

  /** Something else is seen than before: what was expected may be another's. */
  look(): void {
    if (!this.#expecting || this.#seen().held || this.#lease !== undefined) return;
    this.#expecting = false;
    this.#events.unexpected();
    if (!this.#seen().complete) this.#sayUnheld();
  }

  #hold(disk: DiskView): void {
    const { complete, held, config } = this.#seen();
    if (held || config === undefined || this.#lease === undefined) return;
    const why = complete || this.#word.absent ? 'etcd does not have it' : 'etcd has not answered';
    const wall = this.#ports.clock.wall();
    const reason = silenceText(disk, this.#options.ttlSeconds, wall, why);
    this.#events.hold(config, reason, this.#leases);
  }

  #sayUnheld(): void {
    const { state } = this.#options;
    if (state?.held === true) this.#events.unheld(unheldText(state.subnet));
  }

  get #leases(): Leases {
    const { complete, leases } = this.#seen();
    return complete ? leases : this.#word.over(leases);
  }

  /** The subnet that the state names, if the config that counts contains it and no lease says that it is another's. */
  get #lease(): HeldSubnet | undefined {
    const { config, here } = this.#seen();
    const own = heldByDisk(this.#options.state, this.#leases, here);
    return own && config && fits(config, own) ? own : undefined;
  }
}
