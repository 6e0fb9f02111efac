/**
 * The route side of the agent: gives the reconciler what is wanted through the uplink, and keeps what became of each
 * peer: a state with a reason, said once when it changes.
 */

import type { Send } from '../core/index.ts';
import { type Address, familyOf, type Prefix } from '../ip/index.ts';
import {
  type DeviceLink,
  type Hint,
  IN_PLACE,
  type MetricChoice,
  type NeighbourMode,
  type PeerState,
  Reconciler,
  type ReconcilerInput,
  type RouteDriver,
  RouteMetrics,
  type RouteReport,
  runReconciler,
  TABLE_MAIN,
} from '../route/index.ts';
import { Crowd } from './crowd.ts';
import type { Health } from './health.ts';
import { NeighbourSide } from './neighbourSide.ts';
import { PeerStates } from './peerStates.ts';
import type { AgentPorts } from './ports.ts';

/** A wanted route before it has a device: what a believed lease asks for. */
type Wish = { readonly prefix: Prefix; readonly gateway: Wanted['gateway'] | undefined };
type Wanted = Extract<ReconcilerInput, { type: 'desired' }>['changes'][number]['route'] & object;

export interface RouteSideOptions {
  readonly protocol: number;
  /** Default: main. */
  readonly table: number | undefined;
  readonly metrics: MetricChoice;
  /** Preferred sources, one in each family at most. */
  readonly sources: readonly Address[];
  readonly neighbours: NeighbourMode;
  readonly sweepHoldMs: number;
  readonly signal: AbortSignal;
  /** Links or addresses may have changed. */
  readonly onHint: () => void;
  /** Routes of peers that went all at once are held, or are not any more. */
  readonly onHold: (holding: boolean) => void;
}

export class RouteSide {
  readonly #log: AgentPorts['log'];
  readonly #crowd: Crowd;
  readonly #health: Health;
  readonly #send: Send<ReconcilerInput>;
  readonly #neighbours: NeighbourSide;
  readonly #wishes = new Map<string, Wish>();
  readonly #states: PeerStates;
  #device: number;
  #deviceName: string;
  readonly #sources: readonly Address[];
  readonly #onHold: RouteSideOptions['onHold'];

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
    this.#sources = options.sources;
    this.#onHold = options.onHold;
    const { neighbours: mode, protocol, signal } = options;
    const { device } = uplink;
    this.#states = new PeerStates(ports.clock, health, signal);
    const onSilent = (prefix: string, silent: boolean): void =>
      this.#states.setSilent(prefix, silent);
    const neighbourOptions = { mode, protocol, device, signal, onSilent };
    this.#neighbours = new NeighbourSide(ports, neighbourOptions, health, this.#crowd);
    const core = new Reconciler({
      protocol: options.protocol,
      table: options.table ?? TABLE_MAIN,
      metrics: new RouteMetrics(options.metrics),
      random: ports.random,
      holdMs: options.sweepHoldMs,
      deviceName: (device) => (device === this.#device ? this.#deviceName : `device ${device}`),
    });
    this.#send = runReconciler({
      driver: tapped(ports.driver, () => {
        options.onHint();
        this.#neighbours.hint();
      }),
      core,
      clock: ports.clock,
      random: ports.random,
      signal: options.signal,
      onReport: (report) => {
        ports.watcher?.report(report);
        this.#report(report);
      },
    });
  }

  setNetwork(prefixes: readonly Prefix[]): void {
    this.#send({ type: 'within', prefixes });
  }

  /** Every link there is, each time it was read. */
  setLinks(links: readonly DeviceLink[]): void {
    this.#send({ type: 'links', links });
  }

  /** The operator's word that what is held may go. */
  confirm(): void {
    if (!this.#health.has(HELD)) this.#log.info('confirmed, but nothing is held: nothing changes');
    this.#send({ type: 'confirm' });
  }

  /** Takes changed wishes; `complete`: with these every lease is known; `suspect`: what is missing may not be gone. */
  want(changes: readonly Wish[], complete: boolean, suspect: boolean): void {
    for (const wish of changes) {
      if (wish.gateway === undefined) this.#wishes.delete(wish.prefix.text);
      else this.#wishes.set(wish.prefix.text, wish);
    }
    const routed = changes.map((wish) => this.#routed(wish));
    // Routes first: entries of neighbours go to the kernel by the same socket, one call after the other.
    this.#send({ type: 'desired', changes: routed, complete, suspect });
    // A route that is there, or held, needs its gateway until it is gone.
    const stays = ({ prefix, gateway }: Wish): boolean =>
      gateway === undefined && this.#states.get(prefix.text) !== undefined;
    this.#neighbours.routes(changes.filter((wish) => !stays(wish)));
  }

  /** The uplink is another one now, or has another index: every route goes through it. */
  setUplink({ device, name }: { readonly device: number; readonly name: string }): void {
    this.#deviceName = name;
    const from = this.#device;
    if (device === from) return;
    this.#device = device;
    this.#neighbours.setDevice(device);
    // Not by wishing anew: routes that are held are wished for by nobody here, and move too.
    this.#send({ type: 'device', from, to: device });
  }

  /** How many peers are in which state. */
  summary(): Record<string, number> {
    return this.#states.summary();
  }

  #routed({ prefix, gateway }: Wish): { prefix: Prefix; route: Wanted | undefined } {
    if (gateway === undefined) return { prefix, route: undefined };
    const source = this.#sources.find(({ family }) => family === familyOf(prefix));
    return { prefix, route: { gateway, device: this.#device, ...(source && { source }) } };
  }

  #report(report: RouteReport): void {
    switch (report.type) {
      case 'peer':
        return this.#peer(report.prefix, report.state, report.reason);
      case 'removed':
        this.#states.set(report.prefix.text, undefined);
        if (!this.#wishes.has(report.prefix.text))
          this.#neighbours.routes([{ prefix: report.prefix, gateway: undefined }]);
        return this.#crowd.say(
          'info',
          `subnet removed: ${report.prefix.text}`,
          'subnets are removed',
        );
      case 'hold':
        this.#neighbours.complete(false);
        this.#onHold(true);
        return this.#health.set({
          code: HELD,
          sentence: `${report.count} of ${report.of} peers are gone at once: their routes are held until they return, the hold ends (--sweep-hold), or somebody says that it is meant: hostgw confirm`,
          blocking: false,
        });
      case 'holdCleared':
        this.#onHold(false);
        if (report.why !== 'returned') this.#log.info(ENDED[report.why]);
        return this.#health.clear(HELD);
      case 'metrics':
        return this.#log.info(
          `${report.gateways} gateways: every IPv4 route moves to ${report.spread === 0 ? 'metric 0' : 'a metric by its gateway, which the kernel handles faster'} (--route-metrics)`,
        );
      case 'trouble':
        if (report.reason === undefined) return this.#health.clear(`routes-${report.about}`);
        return this.#health.set({
          code: `routes-${report.about}`,
          sentence: `${ABOUT[report.about]}: ${report.reason}`,
          blocking: report.about !== 'listen',
        });
      case 'settled':
        if (report.complete) this.#neighbours.complete(!this.#health.has(HELD));
        return this.#log.debug(
          `routes settled: ${report.kernel} of ${report.desired} in the kernel, ${report.writes} written`,
        );
    }
  }

  #peer(prefix: Prefix, state: PeerState, reason: string): void {
    const stood = this.#states.get(prefix.text) === 'installed';
    this.#states.set(prefix.text, state);
    const gateway = this.#wishes.get(prefix.text)?.gateway;
    const route = gateway === undefined ? prefix.text : `${prefix.text} via ${gateway.text}`;
    if (state === 'installed') {
      if (!stood) this.#crowd.say('info', `subnet added: ${route}`, 'subnets are added');
      // Foreign routes inside the prefix come and go while ours stands.
      const say = (level: 'info' | 'warn') =>
        this.#crowd.say(level, `peer ${route}: ${reason}`, 'peers with foreign routes inside');
      if (reason !== IN_PLACE) say('warn');
      else if (stood) say('info');
    } else if (state === 'pending') this.#log.debug(`peer ${route}: ${reason}`);
    else this.#crowd.say('warn', `peer ${route} is ${state}: ${reason}`, `peers are ${state}`);
  }
}

/** The condition of a hold. */
const HELD = 'sweep-held';
const ENDED = {
  expired: 'the hold is over (--sweep-hold): what was held goes now',
  confirmed: 'confirmed: what was held goes now',
} as const;

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
