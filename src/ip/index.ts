/** Addresses and prefixes as values. */
export * from './address.ts';
export * from './prefix.ts';
