/** What every driver refuses before anything is sent: operations that the kernel's fields cannot hold. */
import { type Address, isUnicast, type Prefix } from '../ip/index.ts';
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
    wellFormed(index, route.prefix);
    sameFamily(index, 'gateway', route.gateway, route.prefix.address, route.prefix.text);
    if (!isUnicast(route.gateway))
      throw new RangeError(`operation ${index}: gateway ${route.gateway.text} is not unicast`);
    sameFamily(index, 'source', route.source, route.prefix.address, route.prefix.text);
    index += 1;
  }
}

function within(index: number, name: string, value: number, min: number, max: number): void {
  if (Number.isInteger(value) && value >= min && value <= max) return;
  throw new RangeError(`operation ${index}: ${name} ${value} is not within ${min} to ${max}`);
}

/** The kernel refuses host bits in an addition, and in a delete they would name no route or another one. */
function wellFormed(index: number, { address, length }: Prefix): void {
  const bits = address.family === 4 ? 32 : 128;
  within(index, 'prefix length', length, 0, bits);
  const hostBits =
    address.family === 4
      ? length < 32 && address.value << length !== 0
      : BigInt.asUintN(128 - length, address.value) !== 0n;
  if (!hostBits) return;
  throw new RangeError(`operation ${index}: prefix ${address.text}/${length} has host bits`);
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
