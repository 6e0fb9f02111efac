import type { Bench } from '../support/bench.ts';
export const contested: Bench = { name: 'contested', what: '', run: async () => [] };
