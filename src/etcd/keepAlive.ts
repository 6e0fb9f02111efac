/** Renews an etcd lease once, on a stream of its own: a stream that is shared can go silent for all who share it. */
import type { ILeaseKeepAliveRequest, ILeaseKeepAliveResponse } from 'etcd3';
import type { Clock } from '../core/index.ts';
import type { Endpoint, Stream } from './endpoint.ts';
import { timeoutError } from './errors.ts';

/** Milliseconds in which a keepalive must be answered. */
const KEEP_ALIVE_MS = 3_000;

/** The seconds left after renewing; 0 if the lease is gone. Rejects with EtcdError. */
export function keepAliveOnce(endpoint: Endpoint, id: string, clock: Clock): Promise<number> {
  return new Promise((resolve, reject) => {
    let stream: Stream<ILeaseKeepAliveRequest> | undefined;
    let over = false;
    const finish = (end: () => void): void => {
      over = true;
      stopTimer();
      end();
      stream?.cancel();
    };
    const stopTimer = clock.at(clock.now() + KEEP_ALIVE_MS, () =>
      finish(() => reject(timeoutError(endpoint.url))),
    );
    endpoint
      .stream<ILeaseKeepAliveRequest, ILeaseKeepAliveResponse>(
        endpoint.lease.leaseKeepAlive(),
        (answer) => {
          if (answer.ID === id) finish(() => resolve(Number(answer.TTL)));
        },
        (error) => finish(() => reject(error)),
      )
      .then(
        (opened) => {
          stream = opened;
          if (over) opened.cancel();
          else opened.write({ ID: id });
        },
        (error: unknown) => finish(() => reject(error)),
      );
  });
}
