/** Logs for tests: one that says nothing, one that keeps what was said. */
import type { Log } from '../../src/core/index.ts';

export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} };

export interface CollectingLog extends Log {
  /** `level sentence`, in order. */
  readonly lines: readonly string[];
}

export function collectingLog(): CollectingLog {
  const lines: string[] = [];
  const keep = (level: string) => (sentence: string) => {
    lines.push(`${level} ${sentence}`);
  };
  return {
    lines,
    debug: keep('debug'),
    info: keep('info'),
    warn: keep('warn'),
    error: keep('error'),
  };
}
