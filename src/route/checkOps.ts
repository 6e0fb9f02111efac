/** What every driver refuses before anything is sent: operations that the kernel's fields cannot hold. */
import type { RouteOp } from './types.ts';

const U32_MAX = 4294967295;

/** Throws RangeError for the first operation that cannot be encoded; it names the index, the value and the rule. */
export function checkOps(ops: readonly RouteOp[]): void {
  ops.forEach(({ route }, index) => {
    const within = (name: string, value: number, min: number, max: number): void => {
      if (Number.isInteger(value) && value >= min && value <= max) return;
      throw new RangeError(`operation ${index}: ${name} ${value} is not within ${min} to ${max}`);
    };
    within('metric', route.metric, 0, U32_MAX);
    within('table', route.table, 1, U32_MAX);
    // The kernel's own (redirect, kernel) are never ours; boot and static occur in deletes and take-overs.
    within('protocol', route.protocol, 1, 255);
    within('device', route.device, 1, 2147483647);
    const { family } = route.prefix.address;
    const sameFamily = (
      name: string,
      other: { family: number; text: string } | undefined,
    ): void => {
      if (other === undefined || other.family === family) return;
      throw new RangeError(
        `operation ${index}: ${name} ${other.text} is not of the family of ${route.prefix.text}`,
      );
    };
    sameFamily('gateway', route.gateway);
    sameFamily('source', route.source);
  });
}
