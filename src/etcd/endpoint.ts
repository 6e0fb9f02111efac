/**
 * One member of the cluster over gRPC: every call has a deadline, rejects with EtcdError and ends when the endpoint is
 * closed. Knows nothing of the other members.
 */
import { checkServerIdentity } from 'node:tls';
import {
  type ChannelOptions,
  Client,
  connectivityState,
  credentials,
  Metadata,
} from '@grpc/grpc-js';
import type { Clock } from '../core/index.ts';
import { timeoutError, toEtcdError } from './errors.ts';
import { AUTHENTICATE, type Method } from './messages.ts';
import type { Certificates, EndpointAddress } from './options.ts';
import { EtcdError } from './types.ts';

/** Milliseconds in which a unary call must be answered. */
export const CALL_MS = 2_000;

// Stands for the IP address in TLS: Bun and Deno refuse an IP address as server name. Never resolved (RFC 6761).
const NAME_FOR_IP = 'etcd.invalid';

/** For a connection that is being made to come to its end. */
const CONNECTING_MS = 1_000;

let generation = 0;

function openClient(address: EndpointAddress, certificates: Certificates): Client {
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
  if (!address.secure) return new Client(address.target, credentials.createInsecure(), options);
  const { ca, key, cert } = certificates;
  const { ip } = address;
  if (ip === undefined) {
    return new Client(address.target, credentials.createSsl(ca, key, cert), options);
  }
  const secure = credentials.createSsl(ca, key, cert, {
    checkServerIdentity: (_name, peer) => checkServerIdentity(ip, peer),
  });
  return new Client(address.target, secure, {
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

export class Endpoint {
  readonly url: string;
  readonly #client: Client;
  readonly #shared: Shared;
  #retired = false;

  constructor(address: EndpointAddress, shared: Shared) {
    this.url = address.url;
    this.#client = openClient(address, shared.certificates);
    this.#shared = shared;
  }

  /** Begins to connect, for the calls that will come. */
  connect(): void {
    this.#client.getChannel().getConnectivityState(true);
  }

  /** Asks once. Rejects with EtcdError after at most CALL_MS. */
  call<Request, Answer>(method: Method<Request, Answer>, request: Request): Promise<Answer> {
    const { clock, unfinished } = this.#shared;
    return new Promise<Answer>((resolve, reject) => {
      this.#refuseIfClosed();
      const call = this.#client.makeUnaryRequest(
        method.path,
        method.encode,
        method.decode,
        request,
        this.#metadata(method.path),
        (error, answer) => {
          settle();
          if (error !== null) reject(toEtcdError(error, this.url));
          else resolve(answer as Answer);
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

  /**
   * Runs a stream until it ends or is cancelled; `ended` then hears why, exactly once, and nothing after it.
   * @throws EtcdError if it cannot even be begun.
   */
  stream<Request, Answer>(
    method: Method<Request, Answer>,
    data: (answer: Answer) => void,
    ended: (error: EtcdError) => void,
  ): Stream<Request> {
    this.#refuseIfClosed();
    const { path, encode, decode } = method;
    const stream = this.#client.makeBidiStreamRequest(path, encode, decode, this.#metadata(path));
    let over = false;
    const finish = (error: unknown): void => {
      if (over) return;
      over = true;
      takeOff();
      stream.cancel();
      ended(toEtcdError(error, this.url));
    };
    const takeOff = this.#shared.unfinished.add(() => finish(closedError(this.url)));
    stream.on('data', (answer: Answer) => {
      if (!over) data(answer);
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

  /** Opens nothing new; calls and streams that are under way go on. */
  retire(): void {
    if (this.#retired) return;
    this.#retired = true;
    const close = (): void => this.#client.close();
    // A channel that is closed while it connects would connect all the same, and stay (grpc-node issue 1487).
    const state = this.#client.getChannel().getConnectivityState(false);
    if (state !== connectivityState.CONNECTING) close();
    else
      this.#client.waitForReady(this.#shared.clock.wall() + CONNECTING_MS, () =>
        setImmediate(close),
      );
  }

  #refuseIfClosed(): void {
    if (this.#shared.unfinished.closed) throw closedError(this.url);
    // Retired between being chosen and being used: as a cut connection, the next try takes the next one.
    if (this.#retired) throw toEtcdError(new Error('the connection was just given up'), this.url);
  }

  #metadata(path: string): Metadata {
    const metadata = new Metadata();
    // A member that is cut off from its leader then says `no leader` instead of going silent.
    metadata.set('hasleader', 'true');
    const token = this.#shared.token();
    if (token !== undefined && path !== AUTHENTICATE.path) metadata.set('token', token);
    return metadata;
  }
}

/** A stream that runs. */
export interface Stream<Request> {
  /** Does nothing once the stream is over. */
  write(request: Request): void;
  cancel(): void;
}

function closedError(url: string): EtcdError {
  return new EtcdError('other', `the session with etcd at ${url} is closed`);
}
