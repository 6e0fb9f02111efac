/** Neighbour entries of the gateways: kept where they are many, and looked at for who answers. */
export { NeighbourKeeper } from './keeper.ts';
export * from './keeperTypes.ts';
export { type NeighbourReport, runKeeper } from './run.ts';
export type { Neighbour } from './types.ts';
