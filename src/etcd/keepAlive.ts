/** Renews an etcd lease once, on a stream of its own: a stream that is shared can go silent for all who share it. */
import type { Clock } from '../core/index.ts';
import type { Endpoint, Stream } from './endpoint.ts';
import { timeoutError } from './errors.ts';
import { LEASE_KEEP_ALIVE } from './messages.ts';

/** Milliseconds in which a keepalive must be answered. */
const KEEP_ALIVE_MS = 3_000;

/** The seconds left after renewing; 0 if the lease is gone. Rejects with EtcdError. */
export function keepAliveOnce(endpoint: Endpoint, id: string, clock: Clock): Promise<number> {
  return new Promise((resolve, reject) => {
    let stream: Stream<string> | undefined;
    const finish = (end: () => void): void => {
      stopTimer();
      end();
      stream?.cancel();
    };
    const stopTimer = clock.at(clock.now() + KEEP_ALIVE_MS, () =>
      finish(() => reject(timeoutError(endpoint.url))),
    );
    try {
      stream = endpoint.stream(
        LEASE_KEEP_ALIVE,
        (answer) => {
          if (answer.id === id) finish(() => resolve(answer.ttl));
        },
        (error) => finish(() => reject(error)),
      );
      stream.write(id);
    } catch (error) {
      finish(() => reject(error));
    }
  });
}
