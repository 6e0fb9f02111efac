/** Forward rules: peers reach containers, nobody else does. */
export { type ForwardPorts, ForwardRules, type ForwardStatus } from './forwardRules.ts';
export type { Hear } from './lookout.ts';
export type { ForwardWanted } from './rules.ts';
