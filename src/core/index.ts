/** Time, chance, logs and the drive loop: what every room is given rather than takes. */
export * from './backoff.ts';
export * from './clock.ts';
export * from './core.ts';
export * from './log.ts';
export * from './run.ts';
export * from './sentence.ts';
export * from './utf8.ts';
