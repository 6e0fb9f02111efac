/**
 * What became of each peer's route, counted as it changes, and the condition that says which peers have none or lead to
 * nobody. It is told once for all that changes in a moment: each telling is a status text, and may start a program.
 */
import type { Cancel, Clock } from '../core/index.ts';
import type { PeerState } from '../route/index.ts';
import type { Health } from './health.ts';

/** Of a thousand peers without a route so many are named; the log has named each. */
const PREFIXES_NAMED = 3;
/** From a change to its telling: a link that goes down is news of every peer, in many pieces. */
const TELL_MS = 100;

/** States that are no trouble of the peer's. */
const UNTROUBLED: ReadonlySet<PeerState> = new Set(['installed', 'pending', 'held']);

export class PeerStates {
  readonly #clock: Clock;
  readonly #health: Health;
  readonly #signal: AbortSignal;
  readonly #states = new Map<string, PeerState>();
  readonly #prefixes = new Map<PeerState, Set<string>>();
  /** Their gateway is known not to answer. */
  readonly #silent = new Set<string>();
  /** Those of them whose route stands, and so leads to nobody. */
  readonly #dead = new Set<string>();
  #cancel: Cancel | undefined;

  constructor(clock: Clock, health: Health, signal: AbortSignal) {
    this.#clock = clock;
    this.#health = health;
    this.#signal = signal;
    signal.addEventListener('abort', () => this.#cancel?.(), { once: true });
  }

  get(prefix: string): PeerState | undefined {
    return this.#states.get(prefix);
  }

  /** `state` undefined: there is no such peer any more. */
  set(prefix: string, state: PeerState | undefined): void {
    const before = this.#states.get(prefix);
    if (before !== undefined) this.#prefixes.get(before)?.delete(prefix);
    if (state === undefined) this.#states.delete(prefix);
    else {
      this.#states.set(prefix, state);
      const alike = this.#prefixes.get(state);
      if (alike === undefined) this.#prefixes.set(state, new Set([prefix]));
      else alike.add(prefix);
    }
    this.#changed(prefix);
  }

  /** Whether the gateway of a prefix is known not to answer. */
  setSilent(prefix: string, silent: boolean): void {
    if (silent) this.#silent.add(prefix);
    else this.#silent.delete(prefix);
    this.#changed(prefix);
  }

  /** How many peers are in which state. */
  summary(): Record<string, number> {
    const dead = this.#dead.size;
    const counts = Array.from(
      this.#prefixes,
      ([state, { size }]) => [state, state === 'installed' ? size - dead : size] as const,
    );
    return Object.fromEntries(
      [...counts, ['unreachable', dead] as const].filter(([, count]) => count > 0),
    );
  }

  #changed(prefix: string): void {
    const isDead = this.#silent.has(prefix) && this.#states.get(prefix) === 'installed';
    if (isDead) this.#dead.add(prefix);
    else this.#dead.delete(prefix);
    if (this.#cancel !== undefined || this.#signal.aborted) return;
    this.#cancel = this.#clock.at(this.#clock.now() + TELL_MS, () => {
      this.#cancel = undefined;
      this.#tell();
    });
  }

  #tell(): void {
    const parts: string[] = [];
    const without = [...this.#prefixes].filter(
      ([state, { size }]) => size > 0 && !UNTROUBLED.has(state),
    );
    const each = without.map(
      ([state, prefixes]) => `${prefixes.size} ${state} (${named(prefixes)})`,
    );
    if (each.length > 0) parts.push(`peers without a route: ${each.join(', ')}`);
    const dead = this.#dead;
    if (dead.size > 0)
      parts.push(
        `peers with a route to a neighbour that does not answer: ${dead.size} (${named(dead)})`,
      );
    if (parts.length === 0) this.#health.clear('peers');
    else this.#health.set({ code: 'peers', sentence: parts.join('; '), blocking: false });
  }
}

/** The first few of them. */
function named(prefixes: ReadonlySet<string>): string {
  const words: string[] = [];
  for (const prefix of prefixes) {
    if (words.length === PREFIXES_NAMED) return `${words.join(', ')}...`;
    words.push(prefix);
  }
  return words.join(', ');
}
