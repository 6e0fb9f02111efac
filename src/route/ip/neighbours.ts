/**
 * Neighbour entries over iproute2: `ip neigh` to write and read. `ip neigh` ends a batch at its first failure and does
 * not say where it was, so after each line a marker is printed, and the rest goes into a batch of its own.
 */
import type { RunResult } from '../../core/index.ts';
import { errnoName, errnoOfText, errnoText } from '../errno.ts';
import {
  checkNeighbourOps,
  type KernelNeighbour,
  type NeighbourDriver,
  type NeighbourFilter,
  type NeighbourOp,
  type NeighbourView,
  NUD,
} from '../neighbours/types.ts';
import { type ApplyResult, type OpFailure, RouteDriverError } from '../types.ts';
import type { IpCommand } from './command.ts';
import {
  address,
  deviceOf,
  type Links,
  misread,
  number,
  parseLinks,
  rowsOf,
  sameLinks,
  text,
} from './dump.ts';

export interface IpNeighbourPorts {
  readonly ip: IpCommand;
  readonly links: () => Promise<Links>;
  /** The word after `dev` for an index; throws RouteDriverError where there is none. */
  readonly word: (device: number, links: Links) => string;
  /** Runs `work` when no other batch runs; rejects when the driver is closed. */
  readonly inTurn: <T>(work: () => Promise<T>) => Promise<T>;
}

const EINVAL = 22;
const EOPNOTSUPP = 95;
const TRIES = 5;
/** Loopback is there in every namespace. */
const MARKER = 'link show dev lo\n';
const MARK = /^\d+: lo:/gm;
const VERB = { add: 'add', adopt: 'change', delete: 'del' } as const;

export function ipNeighbours(ports: IpNeighbourPorts): NeighbourDriver {
  return {
    dump: (filter) => ports.inTurn(() => dump(ports.ip, filter)),
    apply: async (ops) => {
      checkNeighbourOps(ops);
      return ports.inTurn(() => apply(ports, ops));
    },
  };
}

async function apply(
  { ip, links, word }: IpNeighbourPorts,
  ops: readonly NeighbourOp[],
): Promise<ApplyResult> {
  if (ops.length === 0) return { kind: 'complete', failures: [] };
  const known = await links();
  const failures: OpFailure[] = [];
  let next = 0;
  while (next < ops.length) {
    const rest = ops.slice(next);
    const input = rest.map((op) => lineOf(op, word(op.neighbour.device, known))).join(MARKER);
    const result = await ip(['-o', '-batch', '-'], input);
    if (result.code === 0) break;
    const failed = next + (result.stdout.match(MARK)?.length ?? 0);
    if (result.code === null || failed >= ops.length)
      return { kind: 'unknown', reason: `ip ended before its batch did: ${said(result)}` };
    failures.push({ index: failed, ...failureOf(result) });
    next = failed + 1;
  }
  return { kind: 'complete', failures };
}

function lineOf({ kind, neighbour, protocol }: NeighbourOp, device: string): string {
  const flags = kind === 'delete' ? '' : ` extern_learn managed protocol ${protocol}`;
  return `neigh ${VERB[kind]} ${neighbour.address.text} dev ${device}${flags}\n`;
}

function failureOf(result: RunResult): Omit<OpFailure, 'index'> {
  const sentence = said(result);
  const answer = /^RTNETLINK answers: (.*)$/.exec(sentence)?.[1];
  if (answer !== undefined) {
    const errno = errnoOfText(answer) ?? EINVAL;
    return { errno, code: errnoName(errno), message: answer };
  }
  if (sentence.startsWith('Cannot find device')) {
    return { errno: 19, code: errnoName(19), message: sentence };
  }
  // iproute2 before 5.16 takes `managed` for a second address.
  const isOld = /\bmanaged\b|\bextern_learn\b/.test(sentence);
  const errno = isOld ? EOPNOTSUPP : EINVAL;
  const message = isOld ? `this ip does not know them (iproute2 5.16 does): ${sentence}` : sentence;
  return { errno, code: errnoName(errno), message: message || errnoText(errno) };
}

async function dump(ip: IpCommand, filter: NeighbourFilter): Promise<NeighbourView> {
  // Names stand for indexes only while the links stay as they are.
  let before = await show(ip, ['link', 'show']);
  for (let attempt = 1; attempt <= TRIES; attempt += 1) {
    const shown = await show(ip, ['neigh', 'show', 'nud', 'all']);
    const after = await show(ip, ['link', 'show']);
    const links = parseLinks(after ?? '');
    if (before !== undefined && shown !== undefined && after !== undefined) {
      if (sameLinks(parseLinks(before), links)) {
        const neighbours = parseNeighbours(shown, links);
        const live = liveDevices(after).filter((device) => filter.devices.includes(device));
        return { live, neighbours: neighbours.filter((entry) => sees(filter, entry)) };
      }
    }
    before = after;
  }
  throw new RouteDriverError(`links or neighbours changed during each of ${TRIES} dumps`);
}

/** Undefined where it changed while the kernel was telling it. */
async function show(ip: IpCommand, words: readonly string[]): Promise<string | undefined> {
  const result = await ip(['-N', '-j', ...words]);
  if (result.stderr.includes('Dump was interrupted')) return undefined;
  if (result.code === 0) return result.stdout;
  throw new RouteDriverError(`ip ${words.join(' ')} failed: ${said(result)}`);
}

function liveDevices(json: string): number[] {
  return rowsOf(json).flatMap((row) => {
    const flags = row.flags;
    const isLive = Array.isArray(flags) && flags.includes('UP') && flags.includes('LOWER_UP');
    return isLive ? [number(row, 'ifindex', 0)] : [];
  });
}

/** Reads what `ip -N -j neigh show nud all` prints. */
export function parseNeighbours(json: string, links: Links): KernelNeighbour[] {
  return rowsOf(json).map((row) => {
    const state = Array.isArray(row.state) ? String(row.state[0] ?? 'NONE') : 'NONE';
    return {
      address: address(row, 'dst'),
      device: deviceOf(text(row, 'dev'), links),
      state: STATES.get(state.toLowerCase()) ?? unreadable(state),
      protocol: number(row, 'protocol', 0),
      // A flag is a name with null for its value.
      learned: 'extern_learn' in row,
      managed: 'managed' in row,
    };
  });
}

const STATES: ReadonlyMap<string, number> = new Map(Object.entries(NUD));

function unreadable(state: string): never {
  throw misread(`state ${state}`);
}

function sees({ protocol, devices }: NeighbourFilter, entry: KernelNeighbour): boolean {
  return entry.protocol === protocol || devices.includes(entry.device);
}

/** What `ip` said last: warnings and usage come before. */
function said({ stderr, code }: RunResult): string {
  const lines = stderr.split('\n').filter((line) => line !== '' && !/^Command failed/.test(line));
  return lines.at(-1)?.trim() ?? `status ${code ?? 'killed'}`;
}
