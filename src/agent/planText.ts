/** A plan for people: each write as a line of `ip route` with its reason, everything else as comments. Text only. */
import type { AgentOptions } from '../config/index.ts';
import type { HostFacts } from '../host/index.ts';
import type { Prefix } from '../ip/index.ts';
import type { OwnStatus } from '../lease/index.ts';
import {
  ipRouteText,
  type PeerState,
  PROTOCOL_BOOT,
  type Rehearsal,
  type RouteOp,
  TABLE_MAIN,
} from '../route/index.ts';

export interface PeerNews {
  readonly prefix: Prefix;
  readonly state: PeerState;
  readonly reason: string;
}

export interface Planned {
  readonly options: AgentOptions;
  readonly rehearsal: Rehearsal;
  readonly table: number | undefined;
  /** Ours, if it is known. */
  readonly subnet: string | undefined;
  readonly own: { readonly status: OwnStatus; readonly sentence: string } | undefined;
  readonly facts: HostFacts | undefined;
  readonly peers: ReadonlyMap<string, PeerNews>;
  readonly hold: { readonly count: number; readonly of: number } | undefined;
  /** What would be written besides routes. */
  readonly etcdKeys: ReadonlySet<string>;
  readonly files: ReadonlySet<string>;
  readonly warnings: ReadonlySet<string>;
}

/** Where reasons begin, so that they stand below each other. */
const REASON_AT = 76;

export function planLines(plan: Planned): string[] {
  const changes = changesOf(plan);
  const lines = [...headLines(plan), ...changes.flatMap(({ lines: of }) => of)];
  const count = (kind: Change['kind']): number =>
    changes.filter((change) => change.kind === kind).length;
  if (plan.hold !== undefined) {
    lines.push(
      `# ${plan.hold.count} of ${plan.hold.of} peers are gone at once: their routes would be held for ${plan.options.sweepHoldMs / 1000} s (--sweep-hold), or until hostgw confirm`,
    );
  }
  lines.push(...[...plan.warnings].map((sentence) => `# warning: ${sentence}`));
  const changed = new Set(changes.map(({ key }) => key));
  const stay = [...plan.peers.values()].filter(
    ({ prefix, state }) => state === 'installed' && !changed.has(prefix.text),
  ).length;
  lines.push(
    `# ${count('add')} to add, ${count('change')} to change, ${count('remove')} to remove, ${stay} as they should be`,
  );
  return lines;
}

function headLines({ options, table, subnet, own, etcdKeys, files }: Planned): string[] {
  const where = table === undefined || table === TABLE_MAIN ? 'main' : String(table);
  const lines = [`# routes of protocol ${options.routeProtocol} in table ${where}`];
  if (subnet !== undefined && etcdKeys.size === 0) lines.push(`# own subnet ${subnet}`);
  else if (subnet !== undefined) lines.push(`# own subnet ${subnet}, if nobody is faster`);
  else lines.push(`# own subnet not known: ${own?.sentence ?? 'etcd has not told'}`);
  for (const key of etcdKeys) lines.push(`# would ${key}`);
  for (const file of files) lines.push(`# would write ${file}`);
  return lines;
}

interface Change {
  readonly key: string;
  readonly kind: 'add' | 'change' | 'remove';
  readonly lines: readonly string[];
}

/** The writes by prefix, in the order of the addresses. */
function changesOf(plan: Planned): Change[] {
  const byPrefix = new Map<string, RouteOp[]>();
  for (const op of plan.rehearsal.done) {
    const ops = byPrefix.get(op.route.prefix.text);
    if (ops === undefined) byPrefix.set(op.route.prefix.text, [op]);
    else ops.push(op);
  }
  const before = new Set(plan.rehearsal.before.map(({ prefix }) => prefix.text));
  const names = new Map(plan.facts?.links.map(({ index, name }) => [index, name]));
  const nameOf = (index: number): string => names.get(index) ?? `if${index}`;
  return [...byPrefix]
    .sort(([, [a]], [, [b]]) => (a && b ? compare(a.route.prefix, b.route.prefix) : 0))
    .map(([key, ops]) => changeOf(key, ops, { before, nameOf, said: plan.peers.get(key) }));
}

interface Around {
  /** The prefixes that have a route of whatever owner. */
  readonly before: ReadonlySet<string>;
  readonly nameOf: (device: number) => string;
  /** What is said of the peer. */
  readonly said: PeerNews | undefined;
}

function changeOf(key: string, ops: readonly RouteOp[], around: Around): Change {
  const { before, nameOf, said } = around;
  const puts = ops.filter(({ kind }) => kind !== 'delete');
  const takes = ops.filter(({ kind }) => kind === 'delete');
  const kind = puts.length === 0 ? 'remove' : takes.length === 0 ? 'add' : 'change';
  const lines = ops.map((op) => {
    const reason =
      op.kind === 'delete' ? deleteReason(op, puts, said) : putReason(op, takes, before);
    return `${ipRouteText(op, nameOf).padEnd(REASON_AT)}  # ${reason}`;
  });
  return { key, kind, lines };
}

function putReason(
  { route }: RouteOp,
  takes: readonly RouteOp[],
  before: ReadonlySet<string>,
): string {
  const old = takes[0]?.route;
  if (old === undefined)
    return before.has(route.prefix.text)
      ? `the lease of ${route.gateway.text}, beside what is there`
      : `the lease of ${route.gateway.text}, which has no route`;
  if (old.protocol === PROTOCOL_BOOT) return "takes over what flannel's proto boot says";
  const was = [
    old.gateway.text === route.gateway.text ? '' : `via ${old.gateway.text}`,
    old.device === route.device ? '' : 'through another device',
    old.metric === route.metric ? '' : `of metric ${old.metric}`,
    old.source?.text === route.source?.text ? '' : `src ${old.source?.text ?? 'none'}`,
  ].filter((word) => word !== '');
  return `the lease of ${route.gateway.text}; the route was ${was.join(', ')}`;
}

function deleteReason(op: RouteOp, puts: readonly RouteOp[], said: PeerNews | undefined): string {
  if (puts.length > 0) return 'once the new one stands';
  if (said?.state === 'conflict') return said.reason;
  return said === undefined ? 'no lease has it' : `one too many; ${op.route.prefix.text} keeps one`;
}

function compare(a: Prefix, b: Prefix): number {
  if (a.address.family !== b.address.family) return a.address.family - b.address.family;
  if (a.address.value === b.address.value) return a.length - b.length;
  return a.address.value < b.address.value ? -1 : 1;
}
