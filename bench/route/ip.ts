import type { Bench } from '../support/bench.ts';
export const ipBatch: Bench = { name: 'ip', what: '', run: async () => [] };
