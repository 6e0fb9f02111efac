/**
 * Every lease of the cluster as it was last heard of, and what has become of it: routed, refused with a reason, or kept
 * back while it may become our own. Those that left are remembered.
 */
import {
  type BookChanges,
  Departed,
  type JudgeContext,
  type Lease,
  type LeaseFeed,
  LeaseView,
  PeerBook,
} from '../lease/index.ts';
import { Strays } from './strays.ts';

export class LeaseBook {
  readonly #prefix: string;
  readonly #mayBeOurs: (lease: Lease) => boolean;
  readonly #view: LeaseView;
  readonly #peers = new PeerBook();
  readonly #strays = new Strays();
  readonly #warned = new Set<string>();
  readonly departed = new Departed();
  #config: JudgeContext['config'] | undefined;

  /** `subnetsPrefix` ends in `/subnets/`; while a lease `mayBeOurs`, nothing is told of it. */
  constructor(subnetsPrefix: string, mayBeOurs: (lease: Lease) => boolean) {
    this.#prefix = subnetsPrefix;
    this.#mayBeOurs = mayBeOurs;
    this.#view = new LeaseView(subnetsPrefix);
  }

  /** By name. */
  get leases(): LeaseView['leases'] {
    return this.#view.leases;
  }

  /** How many leases have which status, and the revision they are of. */
  summary(): { revision: number; leases: Record<string, number> } {
    const leases: Record<string, number> = {};
    for (const { status } of this.#peers.statuses.values())
      leases[status.kind] = (leases[status.kind] ?? 0) + 1;
    return { revision: this.#view.revision, leases };
  }

  /** Takes of a feed what concerns leases, and returns what that changes. */
  take(feed: LeaseFeed): BookChanges {
    const changes = this.#view.apply(this.#leasesOf(feed));
    this.departed.note(changes, this.#config);
    return this.#told(this.#peers.apply(changes));
  }

  /** Judges every lease anew. */
  judge(context: JudgeContext): BookChanges {
    this.#config = context.config;
    return this.#told(this.#peers.setContext(context));
  }

  /** What is legal but deserves a warning, each told once. */
  warnings(): string[] {
    const fresh = this.#peers.warnings().filter((sentence) => !this.#warned.has(sentence));
    for (const sentence of fresh) this.#warned.add(sentence);
    return fresh;
  }

  /** This one has become ours: what was kept back of others is to be told; undefined: nothing was. */
  settle(ours: string): BookChanges | undefined {
    const statuses = this.#strays.release(ours);
    return statuses.length === 0 ? undefined : { routes: [], statuses };
  }

  #told({ routes, statuses }: BookChanges): BookChanges {
    const told = this.#strays.sift(statuses, (name) => {
      const read = this.leases.get(name);
      return read?.kind === 'lease' && this.#mayBeOurs(read.lease);
    });
    return { routes, statuses: told };
  }

  #leasesOf(feed: LeaseFeed): LeaseFeed {
    const { revision } = feed;
    const isLease = (key: string): boolean => key.startsWith(this.#prefix);
    if (feed.type === 'snapshot') {
      const entries = feed.entries.filter(({ key }) => isLease(key));
      return { type: 'snapshot', revision, entries };
    }
    const events = feed.events.filter((event) =>
      isLease(event.type === 'put' ? event.entry.key : event.key),
    );
    return { type: 'changes', revision, events };
  }
}
