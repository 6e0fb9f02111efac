/**
 * The shape of every core and the one loop that drives it.
 * A core is pure: inputs and the time go in, outputs come back, nothing else happens.
 */
import type { Cancel, Clock } from './clock.ts';
import { sentenceOf } from './sentence.ts';

/** Sent to a core when its deadline has passed. Every core takes it; one that comes early is a no-op. */
export type TimerInput = { readonly type: 'timer' };

export interface Core<In, Out> {
  /** Takes one input at the monotonic time `now` (ms) and returns everything that is to be done about it, in order. */
  handle(input: In | TimerInput, now: number): Out[];
  /** When the core wants a `timer` input (monotonic ms); undefined: only inputs wake it. */
  readonly deadline: number | undefined;
}

/** Feeds one input to a driven core. */
export type Send<In> = (input: In) => void;

/**
 * Drives a core: performs each output in order, wakes the core at its deadline, and queues inputs
 * that arrive while outputs are being performed. `perform` must not throw: it starts what it has to,
 * and turns both results and errors into inputs by `send`. After `signal` aborts nothing happens any more.
 */
export function drive<In, Out>(
  core: Core<In, Out>,
  perform: (output: Out, send: Send<In>) => void,
  clock: Clock,
  signal: AbortSignal,
): Send<In> {
  const queue: (In | TimerInput)[] = [];
  let busy = false;
  let cancel: Cancel | undefined;

  const pump = (): void => {
    if (busy) return;
    busy = true;
    cancel?.();
    cancel = undefined;
    try {
      for (let input = queue.shift(); input !== undefined; input = queue.shift()) {
        for (const output of core.handle(input, clock.now())) {
          if (signal.aborted) return;
          perform(output, send);
        }
      }
    } finally {
      busy = false;
    }
    const deadline = core.deadline;
    if (deadline !== undefined && !signal.aborted) cancel = clock.at(deadline, wake);
  };
  const wake = (): void => {
    cancel = undefined;
    if (signal.aborted) return;
    queue.push({ type: 'timer' });
    pump();
  };
  const send: Send<In> = (input) => {
    if (signal.aborted) return;
    queue.push(input);
    pump();
  };
  signal.addEventListener('abort', () => cancel?.(), { once: true });
  return send;
}

/**
 * Performs a request of a core: sends what `call` resolves to, or, if it rejects, what `failed` makes of the
 * sentence about it.
 */
export function answer<In>(
  send: Send<In>,
  call: () => Promise<In>,
  failed: (reason: string) => In,
): void {
  call().then(send, (error: unknown) => send(failed(sentenceOf(error))));
}
