/**
 * Gives memory back after a start, or any other change of very many routes, once it is over. Only Bun's collector is asked:
 * left alone it keeps the holes that a start left in its heap, and what comes next goes beside them (16,000 peers: 158 MB, or 148 to 153).
 */
import type { Cancel, Clock } from '../core/index.ts';
import type { RouteReport } from '../route/index.ts';

/** Fewer leave nothing worth a pause, which takes some tens of milliseconds. */
const MANY = 4_000;
/** When the routes are settled; and when the neighbours' entries are, which come 500 each 100 ms. */
const AFTER_MS = [200, 10_000];

/** Returns what hears the reports; undefined where there is no collector to ask. */
export function memoryTidier(
  clock: Clock,
  signal: AbortSignal,
  collect = bunsCollector(),
): ((report: RouteReport) => void) | undefined {
  if (collect === undefined) return undefined;
  let cancels: readonly Cancel[] = [];
  const cancel = (): void => {
    for (const each of cancels) each();
  };
  signal.addEventListener('abort', cancel, { once: true });
  return (report) => {
    if (report.type !== 'settled' || report.writes < MANY || signal.aborted) return;
    cancel();
    const now = clock.now();
    cancels = AFTER_MS.map((ms) => clock.at(now + ms, collect));
  };
}

function bunsCollector(): (() => void) | undefined {
  const bun: unknown = Reflect.get(globalThis, 'Bun');
  if (typeof bun !== 'object' || bun === null || !('gc' in bun)) return undefined;
  const { gc } = bun;
  return typeof gc === 'function' ? () => gc(true) : undefined;
}
