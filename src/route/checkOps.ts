/** What every driver refuses before anything is sent: operations that the kernel's fields cannot hold. */
import type { Address } from '../ip/index.ts';
import type { RouteOp } from './types.ts';

const U32_MAX = 4294967295;

/** Throws RangeError for the first operation that cannot be encoded; it names the index, the value and the rule. */
export function checkOps(ops: readonly RouteOp[]): void {
  let index = 0;
  for (const { route } of ops) {
    within(index, 'metric', route.metric, 0, U32_MAX);
    within(index, 'table', route.table, 1, U32_MAX);
    // The kernel's own (redirect, kernel) are never ours; boot and static occur in deletes and take-overs.
    within(index, 'protocol', route.protocol, 1, 255);
    within(index, 'device', route.device, 1, 2147483647);
    sameFamily(index, 'gateway', route.gateway, route.prefix.address, route.prefix.text);
    sameFamily(index, 'source', route.source, route.prefix.address, route.prefix.text);
    index += 1;
  }
}

function within(index: number, name: string, value: number, min: number, max: number): void {
  if (Number.isInteger(value) && value >= min && value <= max) return;
  throw new RangeError(`operation ${index}: ${name} ${value} is not within ${min} to ${max}`);
}

function sameFamily(
  index: number,
  name: string,
  address: Address | undefined,
  of: Address,
  prefix: string,
): void {
  if (address === undefined || address.family === of.family) return;
  throw new RangeError(
    `operation ${index}: ${name} ${address.text} is not of the family of ${prefix}`,
  );
}
