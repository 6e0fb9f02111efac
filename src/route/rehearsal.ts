/**
 * A route driver that writes nothing: it reads the kernel's routes, notes what it is asked to write, and shows the routes
 * from then on as if that had been written, so that the reconciler goes all its rounds. For the dry run.
 */
import { errnoName, errnoText } from './errno.ts';
import { rowOf } from './rows.ts';
import {
  type ApplyResult,
  type KernelRoute,
  type OpFailure,
  type RouteDriver,
  type RouteOp,
  TYPE_UNICAST,
} from './types.ts';

const ESRCH = 3;
const EEXIST = 17;
const ENETUNREACH = 101;

export interface Rehearsal {
  readonly driver: RouteDriver;
  /** The kernel's routes as the last dump found them. */
  readonly before: readonly KernelRoute[];
  /** What would have been written, in order. */
  readonly done: readonly RouteOp[];
}

/** `isUp`: whether routes through a device can be added. `onCall` is called for each dump and batch. */
export function rehearse(
  real: RouteDriver,
  isUp: (device: number) => boolean,
  onCall: () => void,
): Rehearsal {
  const done: RouteOp[] = [];
  let before: readonly KernelRoute[] = [];
  let rows: Rows = new Map();
  const perform = (op: RouteOp): number | undefined => {
    if (op.kind !== 'delete' && !isUp(op.route.device)) return ENETUNREACH;
    return performOn(rows, op);
  };
  const driver: RouteDriver = {
    name: real.name,
    async dump(filter) {
      onCall();
      before = await real.dump(filter);
      rows = byPrefix(before);
      for (const op of done) performOn(rows, op);
      return [...rows.values()].flat();
    },
    async apply(ops): Promise<ApplyResult> {
      onCall();
      const failures: OpFailure[] = [];
      for (const [index, op] of ops.entries()) {
        const errno = perform(op);
        if (errno === undefined) done.push(op);
        else failures.push({ index, errno, code: errnoName(errno), message: errnoText(errno) });
      }
      return { kind: 'complete', failures };
    },
    listen: async () => {},
    close: async () => {},
  };
  return {
    driver,
    done,
    get before() {
      return before;
    },
  };
}

/** By the text of the prefix, each in the kernel's order: a table of thousands is not searched for every operation. */
type Rows = Map<string, KernelRoute[]>;

function byPrefix(routes: readonly KernelRoute[]): Rows {
  const all: Rows = new Map();
  for (const row of routes) {
    const rows = all.get(row.prefix.text);
    if (rows === undefined) all.set(row.prefix.text, [row]);
    else rows.push(row);
  }
  return all;
}

/** Does `op` as the kernel would (RouteOp says how); gives the errno if it would not. */
function performOn(all: Rows, { kind, route }: RouteOp): number | undefined {
  const { prefix, gateway, device, metric, protocol, source, table } = route;
  const { family } = prefix.address;
  const rows = all.get(prefix.text) ?? [];
  const alike = (row: KernelRoute): boolean => row.tos === 0 && row.table === table;
  const nexthop = (row: KernelRoute): boolean =>
    row.gateway?.text === gateway.text && row.device === device;
  if (kind === 'delete') {
    const anyMetric = family === 4 && metric === 0;
    const at = rows.findIndex(
      (row) =>
        alike(row) &&
        nexthop(row) &&
        row.type === TYPE_UNICAST &&
        row.protocol === protocol &&
        (anyMetric || row.metric === metric),
    );
    if (at === -1) return ESRCH;
    rows.splice(at, 1);
    return undefined;
  }
  const same = rows.filter((row) => alike(row) && row.metric === metric);
  const twin = (row: KernelRoute): boolean =>
    nexthop(row) &&
    (family === 6 || (row.protocol === protocol && row.source?.text === source?.text));
  if (kind === 'add' ? same.length > 0 : same.some(twin)) return EEXIST;
  const after = rows.findLastIndex((row) => row.tos > 0 || row.metric <= metric);
  rows.splice(after + 1, 0, rowOf(route));
  all.set(prefix.text, rows);
  return undefined;
}
