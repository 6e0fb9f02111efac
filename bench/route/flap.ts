import type { Bench } from '../support/bench.ts';
export const flap: Bench = { name: 'flap', what: '', run: async () => [] };
