/**
 * What is known of this host's links, to tell a device that is down from a gateway that is off-link: IPv4 has one errno
 * for both. Between a hint that links changed and the next telling of them nothing is certain, for ten seconds at most.
 */

/** As far as routes need it. */
export interface DeviceLink {
  readonly index: number;
  readonly name: string;
  /** Set up by the administrator. */
  readonly up: boolean;
}

/** unsure: it may have changed since. unknown: nobody tells of links. */
export type LinkState = 'up' | 'down' | 'gone' | 'unsure' | 'unknown';

/** Longer than a busy machine takes to read its links: until then a route says nothing new of itself. */
const UNSURE_MS = 10_000;

export class Links {
  #links: ReadonlyMap<number, DeviceLink> | undefined;
  #unsureUntil = Number.NEGATIVE_INFINITY;

  /** Takes every link there is; returns whether anything is other than before. */
  take(links: readonly DeviceLink[]): boolean {
    const before = this.#links;
    const known = new Map(links.map((link) => [link.index, link]));
    this.#links = known;
    this.#unsureUntil = Number.NEGATIVE_INFINITY;
    if (before?.size !== known.size) return true;
    return links.some((link) => {
      const old = before.get(link.index);
      return old?.up !== link.up || old.name !== link.name;
    });
  }

  /** Links may have changed. */
  doubt(now: number): void {
    this.#unsureUntil = now + UNSURE_MS;
  }

  nameOf(device: number): string | undefined {
    return this.#links?.get(device)?.name;
  }

  stateOf(device: number, now: number): LinkState {
    if (this.#links === undefined) return 'unknown';
    if (now < this.#unsureUntil) return 'unsure';
    const link = this.#links.get(device);
    if (link === undefined) return 'gone';
    return link.up ? 'up' : 'down';
  }
}
