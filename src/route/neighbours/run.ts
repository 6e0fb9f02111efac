/** The neighbour keeper at work on a driver: performs its dumps and batches and feeds back what came of them. */
import { answer, type Clock, drive, type Send } from '../../core/index.ts';
import type { NeighbourKeeper } from './keeper.ts';
import type { KeeperInput, KeeperOutput } from './keeperTypes.ts';
import type { NeighbourDriver } from './types.ts';

/** What the agent is told: everything but the dumps and batches, which are performed here. */
export type NeighbourReport = Exclude<KeeperOutput, { type: 'dump' | 'apply' }>;

export interface RunKeeperOptions {
  readonly driver: NeighbourDriver;
  readonly core: NeighbourKeeper;
  readonly clock: Clock;
  /** Ends the work; the entries stay, as the routes do. */
  readonly signal: AbortSignal;
  readonly onReport: (report: NeighbourReport) => void;
}

/** Returns what feeds the keeper. Nothing happens before its first input. */
export function runKeeper({
  driver,
  core,
  clock,
  signal,
  onReport,
}: RunKeeperOptions): Send<KeeperInput> {
  const perform = (output: KeeperOutput): void => {
    if (output.type === 'dump') {
      const { attempt, filter } = output;
      answer<KeeperInput>(
        send,
        async () => ({ type: 'dumped', attempt, view: await driver.dump(filter) }),
        (reason) => ({ type: 'dumpFailed', attempt, reason }),
      );
    } else if (output.type === 'apply') {
      const { attempt, ops } = output;
      answer<KeeperInput>(
        send,
        async () => ({ type: 'applied', attempt, result: await driver.apply(ops) }),
        (reason) => ({ type: 'applyFailed', attempt, reason }),
      );
    } else onReport(output);
  };
  const send: Send<KeeperInput> = drive(core, perform, clock, signal);
  return send;
}
