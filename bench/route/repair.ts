import type { Bench } from '../support/bench.ts';
export const repair: Bench = { name: 'repair', what: '', run: async () => [] };
