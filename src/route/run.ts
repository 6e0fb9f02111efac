/**
 * The reconciler at work on a driver: performs its dumps and batches, feeds back what came of them, and listens for
 * hints. A listening that fails is said and tried again; until it works each try asks for a dump instead. Besides, a
 * dump is asked for from time to time, so that a hint that never came is no difference for ever.
 */
import {
  answer,
  backoffMs,
  type Cancel,
  type Clock,
  drive,
  type Random,
  type Send,
  sentenceOf,
} from '../core/index.ts';
import type { Reconciler } from './reconciler.ts';
import type { ReconcilerInput, ReconcilerOutput } from './reconcilerTypes.ts';
import type { DumpFilter, RouteDriver } from './types.ts';

const RETRY = { firstMs: 500, maxMs: 30_000 };
/** A dump of 16,000 routes takes some tens of milliseconds. */
const RESYNC_MS = 300_000;
const ALL = { type: 'hint', links: true, addresses: true, routes: true } as const;

/** What the agent is told: everything but the dumps and batches, which are performed here. */
export type RouteReport =
  | Exclude<ReconcilerOutput, { type: 'dump' | 'apply' | 'trouble' }>
  | {
      readonly type: 'trouble';
      readonly about: 'dump' | 'apply' | 'listen';
      /** Undefined: it works again. */
      readonly reason: string | undefined;
    };

export interface RunReconcilerOptions {
  readonly driver: RouteDriver;
  readonly core: Reconciler;
  readonly clock: Clock;
  readonly random: Random;
  /** Ends the work; the routes stay. The driver is the caller's to close. */
  readonly signal: AbortSignal;
  readonly onReport: (report: RouteReport) => void;
}

/** Starts the reconciler and returns what feeds it. */
export function runReconciler(options: RunReconcilerOptions): Send<ReconcilerInput> {
  const { driver, core, clock, signal, onReport } = options;
  const listener = new Listener(options, (input) => send(input));

  const perform = (output: ReconcilerOutput): void => {
    if (output.type === 'dump') {
      const { attempt, filter } = output;
      listener.follow(filter);
      answer<ReconcilerInput>(
        send,
        async () => ({ type: 'dumped', attempt, routes: await driver.dump(filter) }),
        (reason) => ({ type: 'dumpFailed', attempt, reason }),
      );
    } else if (output.type === 'apply') {
      const { attempt, ops } = output;
      answer<ReconcilerInput>(
        send,
        async () => ({ type: 'applied', attempt, result: await driver.apply(ops) }),
        (reason) => ({ type: 'applyFailed', attempt, reason }),
      );
    } else onReport(output);
  };
  const send: Send<ReconcilerInput> = drive(core, perform, clock, signal);
  let cancel: Cancel | undefined;
  const resyncLater = (): void => {
    cancel = clock.at(clock.now() + RESYNC_MS, () => {
      send({ type: 'hint', links: false, addresses: false, routes: true });
      resyncLater();
    });
  };
  const stop = (): void => {
    cancel?.();
    listener.stop();
  };
  signal.addEventListener('abort', stop, { once: true });
  send(ALL);
  if (!signal.aborted) resyncLater();
  return send;
}

/** Keeps the driver listening with the filter of the latest dump, one call at a time. */
class Listener {
  readonly #options: RunReconcilerOptions;
  readonly #send: Send<ReconcilerInput>;
  #wanted: DumpFilter | undefined;
  #listening: DumpFilter | undefined;
  #busy = false;
  #failures = 0;
  #cancel: Cancel | undefined;

  constructor(options: RunReconcilerOptions, send: Send<ReconcilerInput>) {
    this.#options = options;
    this.#send = send;
  }

  follow(filter: DumpFilter): void {
    if (this.#wanted?.within === filter.within) return;
    this.#wanted = filter;
    this.#failures = 0;
    this.#cancel?.();
    this.#cancel = undefined;
    this.#try();
  }

  stop(): void {
    this.#cancel?.();
  }

  #try(): void {
    const { driver, signal } = this.#options;
    const filter = this.#wanted;
    if (this.#busy || signal.aborted || filter === undefined || filter === this.#listening) return;
    this.#busy = true;
    const listen = async (): Promise<void> =>
      driver.listen(filter, (hint) => this.#send({ type: 'hint', ...hint }));
    listen().then(
      () => this.#ended(filter, undefined),
      (error: unknown) => this.#ended(filter, sentenceOf(error)),
    );
  }

  #ended(filter: DumpFilter, failure: string | undefined): void {
    const { clock, random, signal, onReport } = this.#options;
    this.#busy = false;
    if (signal.aborted) return;
    if (failure === undefined) {
      this.#listening = filter;
      if (this.#failures > 0) onReport({ type: 'trouble', about: 'listen', reason: undefined });
      this.#failures = 0;
    } else {
      this.#failures += 1;
      onReport({ type: 'trouble', about: 'listen', reason: failure });
      const wait = backoffMs(this.#failures, RETRY, random);
      this.#cancel = clock.at(clock.now() + wait, () => this.#try());
    }
    // What changed before the listening began, or while there is none, only a dump can tell.
    this.#send(ALL);
    if (failure === undefined) this.#try();
  }
}
