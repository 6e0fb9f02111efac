/**
 * The last complete view of the cluster, in `<state-dir>/view.json`: from it a host has its routes back at boot without
 * etcd, and resumes its watch. Two JSON values, one a line: version and sha256 of what follows, then the view. Any
 * difference between the two means that the view is damaged and is set aside.
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { type DamagedFile, isRecord, loadFile, type OnDamage, replaceFile } from './atomicFile.ts';
import type { StoredKey } from './keys.ts';

export interface DiskView {
  /** Without a slash at its end; a view of another one is none of ours. */
  readonly etcdPrefix: string;
  readonly clusterId: string;
  /** Of the last snapshot or event. */
  readonly revision: number;
  /** The keys whose revisions tell this history from another one. */
  readonly witnesses: readonly string[];
  /** Whether `entries` are all keys that there were. */
  readonly whole: boolean;
  readonly entries: readonly StoredKey[];
  /** The text of the config that counts, though etcd's may be another one, or gone. */
  readonly config: string | undefined;
  /** The subnets whose keys went. */
  readonly departed: readonly string[];
  /** When etcd last had our own key, in milliseconds since the epoch. */
  readonly confirmedAt: number | undefined;
  /** Name of our own key; undefined: we had none. */
  readonly own: string | undefined;
  /** Routes were held: the view is the one from before what they were held for, and etcd may lack more of it. */
  readonly holding: boolean;
}

export type LoadedView =
  | { readonly kind: 'view'; readonly view: DiskView }
  | { readonly kind: 'none' }
  | DamagedFile;

const VERSION = 1;
const FILE = 'view.json';
const BYTES_MAX = 1 << 27;
/** So many are written out at once: about a millisecond, in which nothing else happens. */
const ENTRIES_AT_ONCE = 1_000;

/** Reads the view; a damaged one is renamed to `view.json.damaged`, or left. One of another prefix is none. */
export async function loadView(
  dir: string,
  etcdPrefix: string,
  onDamage: OnDamage = 'set-aside',
): Promise<LoadedView> {
  const loaded = await loadFile(join(dir, FILE), BYTES_MAX, parseView, onDamage);
  if (loaded.kind !== 'read') return loaded;
  const view = loaded.content;
  return view.etcdPrefix === etcdPrefix ? { kind: 'view', view } : { kind: 'none' };
}

/** Replaces the view on disk, in pieces, so that nothing waits for it. Rejects if it cannot; the old one is there then. */
export async function saveView(dir: string, view: DiskView): Promise<void> {
  const { entries, ...rest } = view;
  const hash = createHash('sha256');
  const parts: Buffer[] = [];
  const add = (text: string): void => {
    const part = Buffer.from(text);
    hash.update(part);
    parts.push(part);
  };
  add(`${JSON.stringify(rest).slice(0, -1)},"entries":[`);
  for (let from = 0; from < entries.length; from += ENTRIES_AT_ONCE) {
    const rows = JSON.stringify(entries.slice(from, from + ENTRIES_AT_ONCE).map(rowOf));
    add(`${from === 0 ? '' : ',\n'}${rows.slice(1, -1)}`);
    await setImmediate();
  }
  add(']}\n');
  const head = JSON.stringify({ version: VERSION, sha256: hash.digest('hex') });
  await replaceFile(dir, FILE, Buffer.concat([Buffer.from(`${head}\n`), ...parts]));
}

const rowOf = ({ key, value, createRevision, modRevision, lease }: StoredKey): unknown[] => [
  key,
  value,
  createRevision,
  modRevision,
  lease,
];

/** The view, or what is wrong with the text. */
function parseView(text: string): DiskView | string {
  const end = text.indexOf('\n');
  const body = text.slice(end + 1);
  const head = jsonOf(text.slice(0, Math.max(0, end)));
  if (!isRecord(head)) return 'has no first line that says what it is';
  if (head['version'] !== VERSION) return `has no version ${VERSION}`;
  if (head['sha256'] !== createHash('sha256').update(body).digest('hex'))
    return 'is not what was written: its checksum differs';
  return viewOf(jsonOf(body)) ?? 'is not a view of leases';
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function viewOf(json: unknown): DiskView | undefined {
  if (!isRecord(json)) return undefined;
  const { etcdPrefix, clusterId, revision, witnesses, whole, config, departed, confirmedAt } = json;
  const { own, holding = false } = json;
  const entries = entriesOf(json['entries']);
  if (typeof etcdPrefix !== 'string' || typeof clusterId !== 'string') return undefined;
  if (!isRevision(revision) || typeof whole !== 'boolean' || entries === undefined)
    return undefined;
  if (!isTexts(witnesses) || !isTexts(departed)) return undefined;
  if (config !== undefined && typeof config !== 'string') return undefined;
  if (confirmedAt !== undefined && typeof confirmedAt !== 'number') return undefined;
  if ((own !== undefined && typeof own !== 'string') || typeof holding !== 'boolean')
    return undefined;
  const place = { etcdPrefix, clusterId, revision, witnesses, whole };
  return { ...place, entries, config, departed, confirmedAt, own, holding };
}

function entriesOf(rows: unknown): StoredKey[] | undefined {
  if (!Array.isArray(rows)) return undefined;
  const entries: StoredKey[] = [];
  for (const row of rows) {
    const [key, value, createRevision, modRevision, lease]: unknown[] = Array.isArray(row)
      ? row
      : [];
    if (typeof key !== 'string' || typeof value !== 'string' || typeof lease !== 'string')
      return undefined;
    if (!isRevision(createRevision) || !isRevision(modRevision)) return undefined;
    entries.push({ key, value, createRevision, modRevision, lease });
  }
  return entries;
}

const isRevision = (value: unknown): value is number => Number.isSafeInteger(value);

const isTexts = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((text) => typeof text === 'string');
