/** Whether the kernel can keep neighbour entries resolved, and the status where none are kept. */
import type { NeighbourMode, NeighbourNeed, NeighbourStatus } from './keeperTypes.ts';

export type Support =
  | { readonly kind: 'untried' | 'works' }
  | { readonly kind: 'none'; readonly reason: string };

/** With these a kernel refuses flags that it does not know, and `ip` words. */
export const UNSUPPORTED: ReadonlySet<string> = new Set([
  'EINVAL',
  'EOPNOTSUPP',
  'EPROTONOSUPPORT',
]);

/** It took the flag and forgot it. */
export const UNMANAGED: Support = {
  kind: 'none',
  reason: 'the kernel does not keep neighbour entries resolved (Linux 5.16 does)',
};

export function statusUnkept(
  mode: NeighbourMode,
  support: Support,
  need: NeighbourNeed | undefined,
): NeighbourStatus {
  if (mode === 'off') return need === undefined ? { kind: 'idle' } : { kind: 'off', need };
  if (support.kind !== 'none') return { kind: 'idle' };
  if (mode === 'auto' && need === undefined) return { kind: 'idle' };
  return { kind: 'unsupported', reason: support.reason, need };
}
