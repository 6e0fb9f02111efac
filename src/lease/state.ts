/**
 * What a host remembers of its own lease, in `<state-dir>/state.json`: written whole or not at all.
 * A file that cannot be read as such is set aside, never overwritten unseen.
 */
import { join } from 'node:path';
import { parseAddress } from '../ip/index.ts';
import {
  type DamagedFile,
  isRecord,
  loadFile,
  type OnDamage,
  removeFile,
  replaceFile,
} from './atomicFile.ts';
import { parseSubnetName, subnetName } from './codec.ts';

export interface OwnState {
  /** Name of our key, e.g. `10.100.3.0-24`. */
  readonly subnet: string;
  /** Whether etcd has confirmed that the key is ours; false: it was about to be asked for. */
  readonly held: boolean;
  /** Decimal id of the etcd lease that we chose. */
  readonly etcdLease: string;
  /** Every public address under which etcd has shown our key as ours, the latest last. */
  readonly addresses: readonly string[];
  /**
   * Those that it was about to put in, and of which etcd has not said that it did: on disk before they are in etcd. Such
   * a put may be done long after: they are kept until none of them can be any more.
   */
  readonly tried?: readonly string[];
  /** The latest revision of our key on which one of these puts is conditional; without it one wants the key absent. */
  readonly triedAt?: number;
  /** The etcd lease under which another host was last proven to hold our subnet: never taken for ours again. */
  readonly rival: string | undefined;
}

export type LoadedState =
  | { readonly kind: 'state'; readonly state: OwnState }
  | { readonly kind: 'none' }
  /** Another machine wrote it: what it names is that machine's. One sentence says so. */
  | { readonly kind: 'copied'; readonly reason: string }
  | DamagedFile;

const VERSION = 1;
const FILE = 'state.json';
const BYTES_MAX = 65_536;
const LEASE_ID = /^[1-9]\d{0,18}$/;
const LEASE_ID_MAX = 2n ** 63n - 1n;

/**
 * Reads the state; a damaged file is renamed to `state.json.damaged`, or left. `machine`: the mark of this one, where it
 * has one. Rejects if the file cannot be read at all.
 */
export async function loadState(
  dir: string,
  onDamage: OnDamage = 'set-aside',
  machine?: string,
): Promise<LoadedState> {
  const loaded = await loadFile(join(dir, FILE), BYTES_MAX, parseState, onDamage);
  if (loaded.kind !== 'read') return loaded;
  const { state, writer } = loaded.content;
  if (writer === undefined || machine === undefined || writer === machine)
    return { kind: 'state', state };
  const reason = `${join(dir, FILE)} was written by another machine (its machine-id is not this one's), so subnet key ${state.subnet} is not taken for ours`;
  return { kind: 'copied', reason };
}

/** Replaces the state on disk. When it resolves, the new state survives a power cut; when it rejects, the old one is there. */
export function saveState(dir: string, state: OwnState, machine?: string): Promise<void> {
  const text = JSON.stringify({ version: VERSION, machine, own: state }, undefined, 2);
  return replaceFile(dir, FILE, `${text}\n`);
}

/** Forgets the state; survives a power cut. One that is not there is forgotten already. */
export function removeState(dir: string): Promise<void> {
  return removeFile(dir, FILE);
}

/** The state, or what is wrong with the text. */
function parseState(text: string): { state: OwnState; writer: string | undefined } | string {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return 'is not JSON';
  }
  if (!isRecord(json)) return 'is not a JSON object';
  const { version, machine: writer, own } = json;
  if (version !== VERSION) return `has no version ${VERSION}`;
  if (writer !== undefined && typeof writer !== 'string') return 'has a bad machine';
  if (!isRecord(own)) return 'has no own lease';
  const { subnet, held, etcdLease, addresses, tried, triedAt, rival } = own;
  const subnets = typeof subnet === 'string' ? parseSubnetName(subnet) : undefined;
  if (typeof subnet !== 'string' || subnets === undefined || subnetName(subnets) !== subnet)
    return 'names no subnet';
  if (typeof held !== 'boolean') return 'does not say whether the subnet was held';
  if (!isLeaseId(etcdLease)) return 'names no etcd lease';
  if (rival !== undefined && rival !== '0' && !isLeaseId(rival)) return 'has a bad rival';
  if (!areAddresses(addresses)) return 'has bad addresses';
  if (tried !== undefined && !areAddresses(tried)) return 'has bad tried addresses';
  if (triedAt !== undefined && !isRevision(triedAt)) return 'has a bad revision';
  const open = { ...(tried && { tried }), ...(triedAt !== undefined && { triedAt }) };
  return { state: { subnet, held, etcdLease, addresses, ...open, rival }, writer };
}

const isLeaseId = (value: unknown): value is string =>
  typeof value === 'string' && LEASE_ID.test(value) && BigInt(value) <= LEASE_ID_MAX;

const isRevision = (value: unknown): value is number =>
  Number.isSafeInteger(value) && Number(value) > 0;

const areAddresses = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every(isAddressText);

const isAddressText = (value: unknown): value is string =>
  typeof value === 'string' && parseAddress(value)?.text === value;
