/** Operations as lines for `ip -force -batch -`, and what it says as outcomes. Text in, text out. */
import type { RunResult } from '../../core/index.ts';
import { errnoName, errnoOfText, errnoText } from '../errno.ts';
import type { ApplyResult, OpFailure, RouteOp } from '../types.ts';

const ESRCH = 3;
const ENODEV = 19;
const EINVAL = 22;

/** One line an operation. `deviceName` gives the word after `dev` for an interface index. */
export function batchInput(ops: readonly RouteOp[], deviceName: (index: number) => string): string {
  const verb = { add: 'add', append: 'append', delete: 'del' } as const;
  return ops
    .map(({ kind, route }) => {
      // In a delete 0 stands for any metric. The kernel stores IPv6's 0 as 1024, so that can be said exactly; IPv4's
      // 0 cannot: where no route of metric 0 is left, ours of another metric by the same gateway would go.
      const metric = route.metric === 0 && route.prefix.address.family === 6 ? 1024 : route.metric;
      const source = route.source === undefined ? '' : ` src ${route.source.text}`;
      return (
        `route ${verb[kind]} ${route.prefix.text} via ${route.gateway.text} dev ${deviceName(route.device)}` +
        ` proto ${route.protocol} metric ${metric} table ${route.table}${source}\n`
      );
    })
    .join('');
}

/** From so many operations on the other processor is worth a second process. */
const PARTS_MIN = 1000;

/**
 * The operations in parts that may be written at the same time: two halves of many of one kind, each about a prefix of
 * its own. `ip` spends four fifths of its time outside the kernel.
 */
export function partsOf(ops: readonly RouteOp[]): readonly (readonly RouteOp[])[] {
  if (ops.length < PARTS_MIN || ops.some(({ kind }) => kind !== ops[0]?.kind)) return [ops];
  if (new Set(ops.map(({ route }) => route.prefix.text)).size < ops.length) return [ops];
  const half = ops.length >> 1;
  return [ops.slice(0, half), ops.slice(half)];
}

/** What became of a batch, of what became of its parts. */
export function resultOfParts(
  parts: readonly (readonly RouteOp[])[],
  results: readonly RunResult[],
): ApplyResult {
  const failures: OpFailure[] = [];
  let before = 0;
  for (const [number, part] of parts.entries()) {
    const result = results[number];
    if (result === undefined) return unknown('a part of the batch was not written');
    const became = batchResult(part, result);
    if (became.kind === 'unknown') return became;
    for (const failure of became.failures)
      failures.push({ ...failure, index: before + failure.index });
    before += part.length;
  }
  return { kind: 'complete', failures };
}

/**
 * What became of a part. `ip` prints a sentence and `Command failed -:LINE` for each failure and then exits with 1;
 * any other end, or a sentence about the connection to the kernel itself, leaves the outcome unknown.
 */
export function batchResult(ops: readonly RouteOp[], result: RunResult): ApplyResult {
  if (result.code === null) return unknown('ip was killed before the end of the batch');
  const failures: OpFailure[] = [];
  let sentence = '';
  for (const line of result.stderr.split('\n')) {
    if (LOST.test(line)) return unknown(`ip lost its connection to the kernel: ${line}`);
    const index = Number(/^Command failed -:(\d+)$/.exec(line)?.[1] ?? 0) - 1;
    const op = ops[index];
    if (op !== undefined) {
      failures.push(failureOf(index, op, sentence));
      sentence = '';
    } else if (line !== '' && !line.startsWith('Warning: ')) {
      sentence = line;
    }
  }
  const expected = failures.length === 0 ? 0 : 1;
  if (result.code === expected) return { kind: 'complete', failures };
  return unknown(`ip ended with ${result.code}: ${sentence || 'nothing said'}`);
}

const LOST = /^(netlink receive error|EOF on netlink|Message truncated|!!!|Truncated message)/;

const unknown = (reason: string): ApplyResult => ({ kind: 'unknown', reason });

function failureOf(index: number, op: RouteOp, sentence: string): OpFailure {
  let { errno, message } = errnoOfSentence(sentence);
  // `ip` looks the device up before it asks the kernel; the kernel would have found no such route.
  if (op.kind === 'delete' && errno === ENODEV) {
    errno = ESRCH;
    message = errnoText(ESRCH);
  }
  return { index, errno, code: errnoName(errno), message };
}

function errnoOfSentence(sentence: string): { errno: number; message: string } {
  if (sentence.startsWith('Cannot find device')) return { errno: ENODEV, message: sentence };
  const answer = /^RTNETLINK answers: (.*)$/.exec(sentence)?.[1];
  if (answer !== undefined) return { errno: errnoOfText(answer) ?? EINVAL, message: answer };
  // Where the kernel gave a sentence `ip` prints that alone, without the errno, and adds a full stop.
  const spoken = /^Error: (?:ipv[46]: )?(.*?)\.?$/.exec(sentence)?.[1];
  if (spoken === undefined) return { errno: EINVAL, message: sentence || errnoText(EINVAL) };
  return { errno: SPOKEN.get(spoken) ?? EINVAL, message: spoken };
}

/** The sentences of fib_semantics.c, fib_frontend.c and ip6 route.c that come with another errno than EINVAL. */
const SPOKEN: ReadonlyMap<string, number> = new Map([
  ['Nexthop has invalid gateway', 101],
  ['Nexthop device is not up', 100],
  ['Device for nexthop is not up', 100],
  ['Nexthop device is down', 100],
  ['IPv6 is disabled on nexthop device', 13],
  ['IPv6 not enabled on nexthop device', 13],
  ['FIB table does not exist', ESRCH],
  ['Nexthop device not found', ENODEV],
  ['Failed to allocate memory for nexthops', 12],
]);
