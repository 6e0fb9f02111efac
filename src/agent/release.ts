/**
 * Gives our subnet back: deletes our key by transaction on its revision and etcd lease, revokes the etcd lease, then
 * forgets both on disk. Done again it does what is left to do; whatever fails leaves the disk as it is.
 */
import type { AgentOptions } from '../config/index.ts';
import { type Log, sentenceOf, systemClock } from '../core/index.ts';
import { type Etcd, openEtcd } from '../etcd/index.ts';
import { machineMark } from '../host/index.ts';
import {
  type LoadedState,
  loadState,
  type OwnState,
  planRelease,
  removeState,
  subnetsText,
} from '../lease/index.ts';
import { CLOSE_MS, etcdOptions, random, removeRules, systemPause, withLock } from './start.ts';

export interface ReleasePorts {
  readonly etcd: Pick<Etcd, 'get' | 'transact' | 'revoke'>;
  /** Ends in `/subnets/`. */
  readonly subnetsPrefix: string;
  /** Named in sentences. */
  readonly stateDir: string;
  loadState(): Promise<LoadedState>;
  removeState(): Promise<void>;
}

export interface Release {
  /** Whether this host holds no subnet now. */
  readonly released: boolean;
  readonly sentence: string;
}

/** Another change of the key between reading and deleting it is rare; three in a row are somebody's doing. */
const TRIES = 3;

/** Never rejects: whatever goes wrong is a sentence. */
export async function releaseSubnet(ports: ReleasePorts): Promise<Release> {
  const { stateDir } = ports;
  try {
    const loaded = await ports.loadState();
    if (loaded.kind === 'none')
      return {
        released: true,
        sentence: `${stateDir} names no subnet: there is nothing to release (an agent with another --state-dir has its subnet there)`,
      };
    if (loaded.kind === 'copied') return refused(`${loaded.reason}: nothing was changed`);
    if (loaded.kind === 'damaged')
      return refused(`${loaded.reason}, so which subnet is ours is not known: nothing was changed`);
    return await release(ports, loaded.state);
  } catch (error) {
    return refused(`${sentenceOf(error)}; ${stateDir} is as it was: run this again`);
  }
}

const refused = (sentence: string): Release => ({ released: false, sentence });

async function release(ports: ReleasePorts, state: OwnState): Promise<Release> {
  const { etcd, stateDir } = ports;
  const key = ports.subnetsPrefix + state.subnet;
  const what = await deleteKey(ports, key, state);
  if (what.kind === 'foreign')
    return refused(
      `key ${key} belongs to ${what.owner} (revision ${what.revision}): nothing was changed; to forget the subnet here all the same, remove ${stateDir}/state.json`,
    );
  if (what.kind === 'contested')
    return refused(
      `key ${key} is being changed by somebody else: nothing was changed, run this again`,
    );
  await etcd.revoke(state.etcdLease);
  await ports.removeState();
  const subnet = subnetsText(state.subnet);
  const rest = `etcd lease ${state.etcdLease} is revoked, ${stateDir}/state.json is removed`;
  if (what.kind === 'gone')
    return { released: true, sentence: `subnet ${subnet} had no key in etcd any more; ${rest}` };
  if (what.kind === 'reservation')
    return {
      released: true,
      sentence: `subnet ${subnet} is a reservation, so key ${key} stays (to end it: etcdctl del '${key}'); ${rest}`,
    };
  return { released: true, sentence: `released subnet ${subnet}: key ${key} is deleted, ${rest}` };
}

type Deleted =
  | { readonly kind: 'deleted' | 'gone' | 'reservation' | 'contested' }
  | { readonly kind: 'foreign'; readonly owner: string; readonly revision: number };

async function deleteKey({ etcd }: ReleasePorts, key: string, state: OwnState): Promise<Deleted> {
  for (let left = TRIES; left > 0; left -= 1) {
    const plan = planRelease(state, await etcd.get(key));
    if (plan.kind !== 'delete') return plan;
    const answer = await etcd.transact({
      compare: [
        { key, is: 'modRevision', revision: plan.revision },
        { key, is: 'lease', lease: plan.lease },
      ],
      writes: [{ type: 'delete', key }],
    });
    if (answer.succeeded) return { kind: 'deleted' };
  }
  return { kind: 'contested' };
}

/** On the real machine. Rejects with OtherAgent while an agent runs here, with RangeError if an option is wrong. */
export async function runRelease(options: AgentOptions): Promise<Release> {
  const etcd = openEtcd(etcdOptions(options), systemClock, random, SILENT);
  try {
    return await withLock(async () => {
      const done = await releaseSubnet({
        etcd,
        subnetsPrefix: `${options.etcdPrefix}/subnets/`,
        stateDir: options.stateDir,
        // Damaged or not, it is the agent's to set aside.
        loadState: async () => loadState(options.stateDir, 'leave', await machineMark()),
        removeState: () => removeState(options.stateDir),
      });
      if (done.released && options.removeForwardRules) await removeRules(options, SILENT);
      return done;
    });
  } finally {
    await Promise.race([etcd.close(), systemPause(CLOSE_MS)]);
  }
}

/** What fails is one sentence at the end. */
const SILENT: Log = { debug() {}, info() {}, warn() {}, error() {} };
