/**
 * One member of the cluster through etcd3's raw typed clients: every call has a deadline, rejects with
 * EtcdError and ends when the endpoint is closed. Knows nothing of the other members.
 */
import { checkServerIdentity } from 'node:tls';
import { type ChannelOptions, type Client, credentials, Metadata } from '@grpc/grpc-js';
import {
  AuthClient,
  type ICallable,
  type IDuplexStream,
  KVClient,
  LeaseClient,
  WatchClient,
} from 'etcd3';
import { Host } from 'etcd3/lib/connection-pool.js';
import type { Clock } from '../core/index.ts';
import { timeoutError, toEtcdError } from './errors.ts';
import type { Certificates, EndpointAddress } from './options.ts';
import { EtcdError } from './types.ts';

/** Milliseconds in which a unary call must be answered. */
export const CALL_MS = 2_000;

// Stands for the IP address in TLS: Bun and Deno refuse an IP address as server name. Never resolved (RFC 6761).
const NAME_FOR_IP = 'etcd.invalid';

type Service = Parameters<ICallable<Host>['withConnection']>[0];
/** What a gRPC client's method looks like; etcd3 builds the clients at run time from the .proto file. */
type UnaryMethod = (
  payload: unknown,
  metadata: Metadata,
  options: object,
  done: (error: Error | null, answer: unknown) => void,
) => { cancel(): void };

let generation = 0;

function openHost(address: EndpointAddress, certificates: Certificates): Host {
  generation += 1;
  const options: ChannelOptions = {
    // Below 5 s between pings the server answers GOAWAY too_many_pings.
    'grpc.keepalive_time_ms': 10_000,
    'grpc.keepalive_timeout_ms': 5_000,
    'grpc.max_receive_message_length': -1,
    'grpc.initial_reconnect_backoff_ms': 200,
    'grpc.max_reconnect_backoff_ms': 1_000,
    // No proxy of the environment stands between a host and its etcd, and no TXT record configures us.
    'grpc.enable_http_proxy': 0,
    'grpc.service_config_disable_resolution': 1,
    // gRPC shares connections between channels of equal options: a new number gets a new connection.
    'hostgw.generation': generation,
  };
  if (!address.secure) return new Host(address.target, credentials.createInsecure(), options);
  const { ca, key, cert } = certificates;
  const { ip } = address;
  if (ip === undefined) {
    return new Host(address.target, credentials.createSsl(ca, key, cert), options);
  }
  const secure = credentials.createSsl(ca, key, cert, {
    checkServerIdentity: (_name, peer) => checkServerIdentity(ip, peer),
  });
  return new Host(address.target, secure, {
    ...options,
    'grpc.ssl_target_name_override': NAME_FOR_IP,
  });
}

/** What is under way on any endpoint of a session, so that closing the session ends it. */
export class Unfinished {
  readonly #ends = new Set<() => void>();
  #closed = false;

  get closed(): boolean {
    return this.#closed;
  }

  /** Registers how to end something; returns how to take it off the list again. */
  add(end: () => void): () => void {
    this.#ends.add(end);
    return () => this.#ends.delete(end);
  }

  endAll(): void {
    this.#closed = true;
    for (const end of [...this.#ends]) end();
    this.#ends.clear();
  }
}

/** What the endpoints of one session share. */
export interface Shared {
  readonly certificates: Certificates;
  readonly clock: Clock;
  readonly unfinished: Unfinished;
  /** The token of the login, sent with every call but the login itself. */
  readonly token: () => string | undefined;
}

export class Endpoint implements ICallable<Host> {
  readonly url: string;
  readonly kv = new KVClient(this);
  readonly lease = new LeaseClient(this);
  readonly auth = new AuthClient(this);
  readonly watch = new WatchClient(this);
  readonly callOptionsFactory = undefined;
  readonly #host: Host;
  readonly #shared: Shared;

  constructor(address: EndpointAddress, shared: Shared) {
    this.url = address.url;
    this.#host = openHost(address, shared.certificates);
    this.#shared = shared;
  }

  /** A unary call of etcd3's typed clients. Rejects with EtcdError after at most CALL_MS. */
  exec<T>(service: Service, method: string, payload: unknown): Promise<T> {
    const { clock, unfinished } = this.#shared;
    return new Promise<T>((resolve, reject) => {
      const client = this.#client(service);
      const metadata = this.#metadata(service);
      const call = unaryMethod(client, method).call(
        client,
        payload,
        metadata,
        {},
        (error, answer) => {
          settle();
          if (error === null) resolve(answer as T);
          else reject(toEtcdError(error, this.url));
        },
      );
      const fail = (error: EtcdError): void => {
        settle();
        reject(error);
        call.cancel();
      };
      // Our own timer rather than a gRPC deadline: that one is wall time, which a clock step moves.
      const stopTimer = clock.at(clock.now() + CALL_MS, () => fail(timeoutError(this.url)));
      const takeOff = unfinished.add(() => fail(closedError(this.url)));
      const settle = (): void => {
        stopTimer();
        takeOff();
      };
    });
  }

  /** Opens a stream of etcd3's typed clients. */
  async withConnection<R>(
    service: Service,
    open: (by: { resource: Host; client: Client; metadata: Metadata }) => Promise<R> | R,
  ): Promise<R> {
    const client = this.#client(service);
    return open({ resource: this.#host, client, metadata: this.#metadata(service) });
  }

  /** etcd3 reports broken streams here; their owners hear of them by the streams' own events. */
  markFailed(): void {}

  /** Opens nothing new; calls and streams that are under way go on. */
  retire(): void {
    this.#host.close();
  }

  /**
   * Runs a stream until it ends or is cancelled; `ended` then hears why, exactly once, and nothing after it.
   * @throws EtcdError if it cannot even be begun.
   */
  async stream<Request, Response>(
    opening: Promise<IDuplexStream<Request, Response>>,
    data: (response: Response) => void,
    ended: (error: EtcdError) => void,
  ): Promise<Stream<Request>> {
    const stream = await opening;
    let over = false;
    const finish = (error: unknown): void => {
      if (over) return;
      over = true;
      takeOff();
      stream.cancel();
      ended(toEtcdError(error, this.url));
    };
    const takeOff = this.#shared.unfinished.add(() => finish(closedError(this.url)));
    stream.on('data', (response) => {
      if (!over) data(response);
    });
    stream.on('error', finish);
    stream.on('end', () => finish(new Error('the stream was ended by the other side')));
    return {
      write: (request) => {
        if (!over) stream.write(request);
      },
      cancel: () => finish(new Error('cancelled')),
    };
  }

  #client(service: Service): Client {
    if (this.#shared.unfinished.closed) throw closedError(this.url);
    try {
      return this.#host.getServiceClient(service);
    } catch {
      // Retired between being chosen and being used: as a cut connection, the next try takes the next one.
      throw toEtcdError(new Error('the connection was just given up'), this.url);
    }
  }

  #metadata(service: Service): Metadata {
    const metadata = new Metadata();
    // A member that is cut off from its leader then says `no leader` instead of going silent.
    metadata.set('hasleader', 'true');
    const token = this.#shared.token();
    if (token !== undefined && service !== 'Auth') metadata.set('token', token);
    return metadata;
  }
}

/** A stream that runs. */
export interface Stream<Request> {
  /** Does nothing once the stream is over. */
  write(request: Request): void;
  cancel(): void;
}

function unaryMethod(client: Client, method: string): UnaryMethod {
  const found: unknown = Reflect.get(client, method);
  if (typeof found !== 'function') throw new TypeError(`etcd3 has no method ${method}`);
  return found as UnaryMethod;
}

function closedError(url: string): EtcdError {
  return new EtcdError('other', `the session with etcd at ${url} is closed`);
}
