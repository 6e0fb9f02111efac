/** Failures that a test arms in the fake kernel: each strikes once, and the test can demand that it did. */

export type ArmedFailure =
  /** The `nth` operation from now on, over all batches (1 is the next), fails with `errno` and is not done. */
  | { readonly kind: 'op'; readonly nth: number; readonly errno: number; readonly message?: string }
  /** The next batch ends `unknown`: none, the first half, or all of it was done. */
  | { readonly kind: 'unknown'; readonly when: 'before' | 'half' | 'after' }
  /** The next batch rejects with RouteDriverError; nothing was done. */
  | { readonly kind: 'apply' }
  /** The next dump rejects with RouteDriverError. */
  | { readonly kind: 'dump' }
  /** The next dump shows the routes at its start, whatever changes before its answer. */
  | { readonly kind: 'stale-dump' }
  /** The next listen rejects with RouteDriverError. */
  | { readonly kind: 'listen' };

type OfKind<K extends ArmedFailure['kind']> = Extract<ArmedFailure, { kind: K }>;

export class FakeFailures {
  #armed: ArmedFailure[] = [];
  #opsSeen = 0;
  readonly #strikeAt = new Map<ArmedFailure, number>();

  /** Arms one failure; several of a kind strike one after the other. */
  next(failure: ArmedFailure): void {
    this.#armed.push(failure);
    if (failure.kind === 'op') this.#strikeAt.set(failure, this.#opsSeen + failure.nth);
  }

  /** Those that have not struck yet. */
  get waiting(): readonly ArmedFailure[] {
    return this.#armed;
  }

  /** Those that have not struck never will. */
  disarm(): void {
    this.#armed = [];
    this.#strikeAt.clear();
  }

  /** Throws if an armed failure never struck: the test did not test what it says. */
  assertConsumed(): void {
    if (this.#armed.length > 0) throw new Error(`never struck: ${JSON.stringify(this.#armed)}`);
  }

  /** The oldest armed failure of a kind, which is then consumed. */
  take<K extends ArmedFailure['kind']>(kind: K): OfKind<K> | undefined {
    const found = this.#armed.find((failure): failure is OfKind<K> => failure.kind === kind);
    this.#consume(found);
    return found;
  }

  /** Counts one operation and gives the failure that is armed for it. */
  takeOp(): OfKind<'op'> | undefined {
    this.#opsSeen += 1;
    const found = this.#armed.find(
      (failure): failure is OfKind<'op'> =>
        failure.kind === 'op' && this.#strikeAt.get(failure) === this.#opsSeen,
    );
    this.#consume(found);
    return found;
  }

  #consume(failure: ArmedFailure | undefined): void {
    if (failure === undefined) return;
    this.#strikeAt.delete(failure);
    this.#armed = this.#armed.filter((other) => other !== failure);
  }
}
