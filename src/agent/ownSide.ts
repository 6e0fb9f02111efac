/** The cores of our own subnet, `own` and `keeper`, at work on etcd and the disk: performs what they put out. */
import { answer, drive, type Send, sentenceOf } from '../core/index.ts';
import {
  type HeldSubnet,
  Keeper,
  type KeeperInput,
  type KeeperOutput,
  Own,
  type OwnInput,
  type OwnOutput,
  type OwnStatus,
} from '../lease/index.ts';
import type { LeaseSideOptions } from './leaseSideTypes.ts';
import type { AgentPorts } from './ports.ts';

const RETRY = { firstMs: 200, maxMs: 5_000 };

export interface OwnSideEvents {
  /** The subnet that we are about to ask for, before it is on disk and in etcd. */
  asking(name: string): void;
  held(lease: HeldSubnet): void;
  status(status: OwnStatus, sentence: string): void;
  /** The state on disk is not what it should be, with the reason; undefined: it is again. */
  unsaved(reason: string | undefined): void;
}

export type OwnSidePorts = Pick<AgentPorts, 'clock' | 'random' | 'newLeaseId'> & {
  readonly etcd: Pick<AgentPorts['etcd'], 'transact' | 'get' | 'grant' | 'keepAlive'>;
  readonly host: Pick<AgentPorts['host'], 'saveState'>;
};

/** Starts both cores; what is returned feeds `own`. */
export function runOwn(
  ports: OwnSidePorts,
  options: Omit<LeaseSideOptions, 'disk' | 'ours'>,
  events: OwnSideEvents,
): Send<OwnInput> {
  const { clock, random, etcd, host } = ports;
  const { ttlSeconds, renewMarginMs, state, previous, seed, lost, signal } = options;
  const keeperCore = new Keeper({ ttlSeconds, renewMarginMs, retry: RETRY, random });
  const ownCore = new Own({
    configKey: `${options.etcdPrefix}/config`,
    subnetsPrefix: `${options.etcdPrefix}/subnets/`,
    state,
    previous,
    seed,
    lost,
    newLeaseId: ports.newLeaseId,
    retry: RETRY,
    random,
  });

  const save = async (state: Parameters<typeof host.saveState>[0]): Promise<void> => {
    await host.saveState(state).catch((error: unknown) => {
      events.unsaved(sentenceOf(error));
      throw error;
    });
    events.unsaved(undefined);
  };
  const performOwn = (output: OwnOutput): void => {
    switch (output.type) {
      case 'persist':
        events.asking(output.state.subnet);
        return reply(output, () => save(output.state).then(() => ({ type: 'persisted' })));
      case 'transact':
        return reply(output, async () => {
          const result = await etcd.transact(output.transaction);
          return { type: 'transacted', answer: result };
        });
      case 'read':
        return reply(output, async () => ({
          type: 'readBack',
          entry: await etcd.get(output.key),
        }));
      case 'want':
        return keeper({ type: 'want', id: output.id });
      case 'held':
        return events.held(output.lease);
      case 'status':
        return events.status(output.status, output.sentence);
    }
  };
  const performKeeper = (output: KeeperOutput): void => {
    if (output.type === 'state') return own({ type: 'keeper', state: output.state });
    const { attempt, id } = output;
    answer<KeeperInput>(
      keeper,
      async () =>
        output.type === 'grant'
          ? etcd.grant(id, output.ttl).then((ttl) => ({ type: 'granted', attempt, ttl }))
          : etcd.keepAlive(id).then((ttl) => ({ type: 'keptAlive', attempt, ttl })),
      (reason) => ({ type: 'failed', attempt, reason }),
    );
  };
  const reply = ({ attempt }: { attempt: number }, call: () => Promise<Answer>): void =>
    answer<OwnInput>(
      own,
      async () => ({ ...(await call()), attempt }),
      (reason) => ({ type: 'failed', attempt, reason }),
    );

  const keeper: Send<KeeperInput> = drive(keeperCore, performKeeper, clock, signal);
  const own: Send<OwnInput> = drive(ownCore, performOwn, clock, signal);
  return own;
}

type Unnumbered<T> = T extends { attempt: number } ? Omit<T, 'attempt'> : never;
type Answer = Unnumbered<OwnInput>;
