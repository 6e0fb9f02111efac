/** What a benchmark is: a name, a program, and the rows that it gives. */
import type { Net } from './netns.ts';

/** One figure: what was measured, each run of it, and what it is to be compared with. */
export interface Row {
  readonly what: string;
  readonly unit: 'ms' | '%' | 'MB' | 'times';
  /** Every run that counted, in order. */
  readonly runs: readonly number[];
  /** The same work by somebody else, in runs between these. */
  readonly against?: { readonly what: string; readonly runs: readonly number[] };
  /** The bound, and what of the row it is about. Default: none, the figure is for information. */
  readonly must?: { readonly of: 'median' | 'p95' | 'max' | 'ratio'; readonly max: number };
  /** What shows that the work was done. */
  readonly proof: string;
}

export interface Context {
  readonly net: Net;
  /** Fewer runs and smaller sizes, for a first look. */
  readonly quick: boolean;
  /** Tells people what is going on. */
  readonly progress: (sentence: string) => void;
}

export interface Bench {
  readonly name: string;
  /** One line for people. */
  readonly what: string;
  run(context: Context): Promise<readonly Row[]>;
}

/** Stops a benchmark whose work was not done: a figure of it would say nothing. */
export function prove(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(`not proved: ${what}`);
}
