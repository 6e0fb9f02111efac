import type { Bench } from '../support/bench.ts';
export const foreign: Bench = { name: 'foreign', what: '', run: async () => [] };
