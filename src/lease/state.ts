/**
 * What a host remembers of its own lease, in `<state-dir>/state.json`: written whole or not at all.
 * A file that cannot be read as such is set aside, never overwritten unseen.
 */
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { parseAddress } from '../ip/index.ts';
import { parseSubnetName, subnetName } from './codec.ts';

export interface OwnState {
  /** Name of our key, e.g. `10.100.3.0-24`. */
  readonly subnet: string;
  /** Whether etcd has confirmed that the key is ours; false: it was about to be asked for. */
  readonly held: boolean;
  /** Decimal id of the etcd lease that we chose. */
  readonly etcdLease: string;
  /** Every public address that this host has put into a lease, the latest last. */
  readonly addresses: readonly string[];
  /** The etcd lease under which another host was last proven to hold our subnet: never taken for ours again. */
  readonly rival: string | undefined;
}

export type LoadedState =
  | { readonly kind: 'state'; readonly state: OwnState }
  | { readonly kind: 'none' }
  /** The file was renamed to `movedTo`, or could not be (undefined). */
  | { readonly kind: 'damaged'; readonly reason: string; readonly movedTo: string | undefined };

const VERSION = 1;
const FILE = 'state.json';
const LEASE_ID = /^[1-9]\d{0,18}$/;
const LEASE_ID_MAX = 2n ** 63n - 1n;

/** Reads the state; a damaged file is renamed to `state.json.damaged`, or left. Throws if the file cannot be read at all. */
export async function loadState(
  dir: string,
  damaged: 'set-aside' | 'leave' = 'set-aside',
): Promise<LoadedState> {
  const file = join(dir, FILE);
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return { kind: 'none' };
    throw error;
  }
  const state = parseState(text);
  if (typeof state !== 'string') return { kind: 'state', state };
  if (damaged === 'leave')
    return { kind: 'damaged', reason: `${file} ${state}`, movedTo: undefined };
  const movedTo = `${file}.damaged`;
  try {
    await rename(file, movedTo);
  } catch {
    return { kind: 'damaged', reason: `${file} ${state}`, movedTo: undefined };
  }
  return { kind: 'damaged', reason: `${file} ${state}`, movedTo };
}

let writes = 0;

/** Replaces the state on disk. When it resolves, the new state survives a power cut; when it rejects, the old one is there. */
export async function saveState(dir: string, state: OwnState): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o755 });
  writes += 1;
  const temporary = join(dir, `${FILE}.${process.pid}.${writes}.tmp`);
  try {
    const handle = await open(temporary, 'wx', 0o644);
    try {
      await handle.writeFile(`${JSON.stringify({ version: VERSION, own: state }, undefined, 2)}\n`);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, join(dir, FILE));
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  // A rename is on disk only when the directory is.
  const folder = await open(dir, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** The state, or what is wrong with the text. */
function parseState(text: string): OwnState | string {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return 'is not JSON';
  }
  if (!isRecord(json)) return 'is not a JSON object';
  const { version, own } = json;
  if (version !== VERSION) return `has no version ${VERSION}`;
  if (!isRecord(own)) return 'has no own lease';
  const { subnet, held, etcdLease, addresses, rival } = own;
  const subnets = typeof subnet === 'string' ? parseSubnetName(subnet) : undefined;
  if (typeof subnet !== 'string' || subnets === undefined || subnetName(subnets) !== subnet)
    return 'names no subnet';
  if (typeof held !== 'boolean') return 'does not say whether the subnet was held';
  if (!isLeaseId(etcdLease)) return 'names no etcd lease';
  if (rival !== undefined && rival !== '0' && !isLeaseId(rival)) return 'has a bad rival';
  if (!Array.isArray(addresses) || !addresses.every(isAddressText)) return 'has bad addresses';
  return { subnet, held, etcdLease, addresses, rival };
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isLeaseId = (value: unknown): value is string =>
  typeof value === 'string' && LEASE_ID.test(value) && BigInt(value) <= LEASE_ID_MAX;

const isAddressText = (value: unknown): value is string =>
  typeof value === 'string' && parseAddress(value)?.text === value;

const isErrno = (error: unknown, code: string): boolean =>
  error instanceof Error && 'code' in error && error.code === code;
