/**
 * The route side of the agent: gives the reconciler what is wanted through the uplink, and keeps what became of each
 * peer: a state with a reason, said once when it changes.
 */

import type { Send } from '../core/index.ts';
import type { Prefix } from '../ip/index.ts';
import {
  type Hint,
  type PeerState,
  Reconciler,
  type ReconcilerInput,
  type RouteDriver,
  type RouteReport,
  runReconciler,
  TABLE_MAIN,
} from '../route/index.ts';
import { Crowd } from './crowd.ts';
import type { Health } from './health.ts';
import type { AgentPorts } from './ports.ts';

/** Of a thousand peers without a route so many are named; the log has named each. */
const PREFIXES_NAMED = 3;

/** A wanted route before it has a device: what a believed lease asks for. */
type Wish = { readonly prefix: Prefix; readonly gateway: Wanted['gateway'] | undefined };
type Wanted = Extract<ReconcilerInput, { type: 'desired' }>['changes'][number]['route'] & object;

export interface RouteSideOptions {
  readonly protocol: number;
  readonly sweepHoldMs: number;
  readonly signal: AbortSignal;
  /** Links or addresses may have changed. */
  readonly onHint: () => void;
}

export class RouteSide {
  readonly #log: AgentPorts['log'];
  readonly #crowd: Crowd;
  readonly #health: Health;
  readonly #send: Send<ReconcilerInput>;
  readonly #wishes = new Map<string, Wish>();
  readonly #states = new Map<string, PeerState>();
  readonly #prefixes = new Map<PeerState, Set<string>>();
  #device: number;
  #deviceName: string;

  constructor(
    ports: AgentPorts,
    options: RouteSideOptions,
    health: Health,
    uplink: { readonly device: number; readonly name: string },
  ) {
    this.#log = ports.log;
    this.#crowd = new Crowd(ports.log, ports.clock, options.signal);
    this.#health = health;
    this.#device = uplink.device;
    this.#deviceName = uplink.name;
    const core = new Reconciler({
      protocol: options.protocol,
      table: TABLE_MAIN,
      random: ports.random,
      holdMs: options.sweepHoldMs,
      deviceName: (device) => (device === this.#device ? this.#deviceName : `device ${device}`),
    });
    this.#send = runReconciler({
      driver: tapped(ports.driver, options.onHint),
      core,
      clock: ports.clock,
      random: ports.random,
      signal: options.signal,
      onReport: (report) => this.#report(report),
    });
  }

  setNetwork(prefixes: readonly Prefix[]): void {
    this.#send({ type: 'within', prefixes });
  }

  /** Takes changed wishes; `complete`: with these every lease is known; `suspect`: what is missing may not be gone. */
  want(changes: readonly Wish[], complete: boolean, suspect: boolean): void {
    for (const wish of changes) {
      if (wish.gateway === undefined) this.#wishes.delete(wish.prefix.text);
      else this.#wishes.set(wish.prefix.text, wish);
    }
    const routed = changes.map((wish) => this.#routed(wish));
    this.#send({ type: 'desired', changes: routed, complete, suspect });
  }

  /** The uplink is another one now, or has another index: every route goes through it. */
  setUplink({ device, name }: { readonly device: number; readonly name: string }): void {
    this.#deviceName = name;
    if (device === this.#device) return;
    this.#device = device;
    const changes = Array.from(this.#wishes.values(), (wish) => this.#routed(wish));
    this.#send({ type: 'desired', changes, complete: false });
  }

  /** How many peers are in which state. */
  summary(): Record<string, number> {
    const counts = Array.from(this.#prefixes, ([state, { size }]) => [state, size] as const);
    return Object.fromEntries(counts.filter(([, count]) => count > 0));
  }

  #routed({ prefix, gateway }: Wish): { prefix: Prefix; route: Wanted | undefined } {
    return { prefix, route: gateway && { gateway, device: this.#device } };
  }

  #report(report: RouteReport): void {
    switch (report.type) {
      case 'peer':
        return this.#peer(report.prefix, report.state, report.reason);
      case 'removed':
        this.#setState(report.prefix, undefined);
        this.#crowd.say('info', `subnet removed: ${report.prefix.text}`, 'subnets are removed');
        return this.#tellPeers();
      case 'hold':
        return this.#health.set({
          code: 'sweep-held',
          sentence: `${report.count} of ${report.of} peers are gone at once: their routes are held until they return or the hold ends (--sweep-hold)`,
          blocking: false,
        });
      case 'holdCleared':
        return this.#health.clear('sweep-held');
      case 'trouble':
        if (report.reason === undefined) return this.#health.clear(`routes-${report.about}`);
        return this.#health.set({
          code: `routes-${report.about}`,
          sentence: `${ABOUT[report.about]}: ${report.reason}`,
          blocking: report.about !== 'listen',
        });
      case 'settled':
        return this.#log.debug(
          `routes settled: ${report.kernel} of ${report.desired} in the kernel, ${report.writes} written`,
        );
    }
  }

  #peer(prefix: Prefix, state: PeerState, reason: string): void {
    this.#setState(prefix, state);
    const gateway = this.#wishes.get(prefix.text)?.gateway;
    const route = gateway === undefined ? prefix.text : `${prefix.text} via ${gateway.text}`;
    if (state === 'installed')
      this.#crowd.say('info', `subnet added: ${route}`, 'subnets are added');
    else if (state === 'pending') this.#log.debug(`peer ${route}: ${reason}`);
    else this.#crowd.say('warn', `peer ${route} is ${state}: ${reason}`, `peers are ${state}`);
    this.#tellPeers();
  }

  #setState(prefix: Prefix, state: PeerState | undefined): void {
    const before = this.#states.get(prefix.text);
    if (before !== undefined) this.#prefixes.get(before)?.delete(prefix.text);
    if (state === undefined) this.#states.delete(prefix.text);
    else {
      this.#states.set(prefix.text, state);
      const alike = this.#prefixes.get(state);
      if (alike === undefined) this.#prefixes.set(state, new Set([prefix.text]));
      else alike.add(prefix.text);
    }
  }

  #tellPeers(): void {
    const without = [...this.#prefixes].filter(
      ([state, { size }]) =>
        size > 0 && state !== 'installed' && state !== 'pending' && state !== 'held',
    );
    if (without.length === 0) return this.#health.clear('peers');
    const each = without.map(
      ([state, prefixes]) => `${prefixes.size} ${state} (${named(prefixes)})`,
    );
    this.#health.set({
      code: 'peers',
      sentence: `peers without a route: ${each.join(', ')}`,
      blocking: false,
    });
  }
}

/** The first few of them. */
function named(prefixes: ReadonlySet<string>): string {
  const words: string[] = [];
  for (const prefix of prefixes) {
    if (words.length === PREFIXES_NAMED) return `${words.join(', ')}...`;
    words.push(prefix);
  }
  return words.join(', ');
}

const ABOUT = {
  dump: 'routes cannot be read',
  apply: 'routes cannot be written',
  listen: 'changes of routes cannot be heard, so they are looked for from time to time',
} as const;

/** The driver, with its hints about links and addresses heard by the agent too. */
function tapped(driver: RouteDriver, onHint: () => void): RouteDriver {
  return {
    name: driver.name,
    dump: (filter) => driver.dump(filter),
    apply: (ops) => driver.apply(ops),
    listen: (filter, hinted) =>
      driver.listen(filter, (hint: Hint) => {
        hinted(hint);
        if (hint.links || hint.addresses) onHint();
      }),
    close: () => driver.close(),
  };
}
