/** Waits for a condition instead of sleeping. */

/** Costs nothing when all is well, and bears a machine three times slower with neighbours. */
export const PATIENCE_MS = 30_000;

/** Resolves when `condition` gives true; rejects with `what` after `timeoutMs`. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  timeoutMs = PATIENCE_MS,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
