import type { Bench } from '../support/bench.ts';
export const scale: Bench = { name: 'scale', what: '', run: async () => [] };
