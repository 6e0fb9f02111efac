/** The rim of the watch core: performs its outputs on a session and turns what comes back into its inputs. */
import { drive, type Random, type Send, sentenceOf } from '../core/index.ts';
import type { Endpoint, Stream } from './endpoint.ts';
import { timeoutError, toEtcdError } from './errors.ts';
import { isOneHistory, listPrefix, readSince } from './list.ts';
import { RANGE, WATCH, type WatchAnswer, type WatchRequest } from './messages.ts';
import type { Session } from './session.ts';
import type { SavedView, WatchFeed } from './types.ts';
import { Watch } from './watch.ts';
import type { WatchInput, WatchOutput } from './watchTypes.ts';
import { prefixRange } from './wire.ts';

/** The one stream that may run, with the attempt that opened it. */
interface Running {
  readonly attempt: number;
  /** Undefined while it is being opened. */
  stream: Stream<WatchRequest> | undefined;
  endpoint: Endpoint | undefined;
}

export class Watcher {
  readonly #session: Session;
  readonly #prefix: string;
  readonly #feed: (item: WatchFeed) => void;
  #running: Running | undefined;

  constructor(session: Session, prefix: string, feed: (item: WatchFeed) => void) {
    this.#session = session;
    this.#prefix = prefix;
    this.#feed = feed;
  }

  /** Runs until `signal` aborts, from a saved view if there is one. */
  run(random: Random, signal: AbortSignal, saved: SavedView | undefined): void {
    if (signal.aborted) return;
    const perform = (output: WatchOutput, send: Send<WatchInput>): void =>
      this.#perform(output, send);
    const send = drive(new Watch(random), perform, this.#session.clock, signal);
    signal.addEventListener('abort', () => this.#cancel(), { once: true });
    send({ type: 'start', saved });
  }

  #perform(output: WatchOutput, send: Send<WatchInput>): void {
    const { type } = output;
    switch (type) {
      case 'feed':
        this.#feed(output.item);
        return;
      case 'list':
        void this.#list(output.attempt, send);
        return;
      case 'compare':
        void this.#compare(output, send);
        return;
      case 'open':
        void this.#open(output, send);
        return;
      case 'ask':
        if (output.what === 'probe') void this.#probe(output.attempt, send);
        else this.#running?.stream?.write({ type: 'progress' });
        return;
      case 'cancel': {
        const endpoint = this.#running?.endpoint;
        this.#cancel();
        if (output.stalled && endpoint) this.#session.failed(endpoint, timeoutError(endpoint.url));
        return;
      }
    }
  }

  #cancel(): void {
    const running = this.#running;
    this.#running = undefined;
    running?.stream?.cancel();
  }

  /** What goes wrong in asking becomes an input; what goes wrong in whoever is fed must stay loud. */
  async #list(attempt: number, send: Send<WatchInput>): Promise<void> {
    const answer = await listPrefix(this.#session, this.#prefix).then(
      ({ header, entries }): WatchInput => ({ type: 'listed', attempt, header, entries }),
      (error: unknown): WatchInput => ({ type: 'failed', attempt, reason: sentenceOf(error) }),
    );
    send(answer);
  }

  async #compare(
    { attempt, from, witnesses, witness }: Extract<WatchOutput, { type: 'compare' }>,
    send: Send<WatchInput>,
  ): Promise<void> {
    const read = async (): Promise<WatchInput> => {
      if (witness && (await isOneHistory(this.#session, this.#prefix, witness)) === false)
        return { type: 'foreign', attempt };
      const since = await readSince(this.#session, this.#prefix, from, witnesses);
      return { type: 'since', attempt, ...since };
    };
    const answer = await read().then(
      (input) => input,
      (error: unknown): WatchInput => ({ type: 'failed', attempt, reason: sentenceOf(error) }),
    );
    send(answer);
  }

  /** One key, linearizable: it shows the store's revision and that a quorum stands behind the endpoint. */
  async #probe(attempt: number, send: Send<WatchInput>): Promise<void> {
    const { key } = prefixRange(this.#prefix);
    const read = this.#session.idempotent((endpoint) =>
      endpoint.call(RANGE, { key, keysOnly: true }),
    );
    const answer = await read.then(
      ({ header }): WatchInput => ({ type: 'probed', attempt, header }),
      (error: unknown): WatchInput => ({ type: 'failed', attempt, reason: sentenceOf(error) }),
    );
    send(answer);
  }

  async #open(
    { attempt, from, witness }: Extract<WatchOutput, { type: 'open' }>,
    send: Send<WatchInput>,
  ): Promise<void> {
    this.#cancel();
    const running: Running = { attempt, stream: undefined, endpoint: undefined };
    this.#running = running;
    try {
      const known =
        witness === undefined || (await isOneHistory(this.#session, this.#prefix, witness));
      if (this.#running !== running) return;
      if (known !== true) {
        this.#running = undefined;
        return send({ type: known === false ? 'foreign' : 'compacted', attempt });
      }
      const endpoint = await this.#session.ready();
      if (this.#running !== running) return;
      running.endpoint = endpoint;
      const stream = endpoint.stream(
        WATCH,
        (response) => this.#response(attempt, endpoint, response, send),
        (error) => {
          if (this.#running !== running) return;
          this.#running = undefined;
          this.#session.failed(endpoint, error);
          send({ type: 'failed', attempt, reason: error.message });
        },
      );
      running.stream = stream;
      stream.write({ type: 'create', ...prefixRange(this.#prefix), startRevision: from });
    } catch (error) {
      if (this.#running !== running) return;
      this.#running = undefined;
      send({ type: 'failed', attempt, reason: sentenceOf(error) });
    }
  }

  #response(
    attempt: number,
    endpoint: Endpoint,
    response: WatchAnswer,
    send: Send<WatchInput>,
  ): void {
    if (this.#running?.attempt !== attempt) return;
    if (response.canceled) {
      this.#cancel();
      if (response.compactRevision !== 0) {
        send({ type: 'compacted', attempt });
        return;
      }
      const error = toEtcdError(
        new Error(response.cancelReason || 'the watch was cancelled'),
        endpoint.url,
      );
      this.#session.failed(endpoint, error);
      send({ type: 'failed', attempt, reason: error.message });
      return;
    }
    const { header, events } = response;
    if (response.created) {
      this.#session.answered(endpoint);
      send({ type: 'opened', attempt, header });
    } else if (events.length > 0) {
      send({ type: 'events', attempt, header, events });
    } else {
      send({ type: 'progress', attempt, header });
    }
  }
}
