/** A TCP proxy on loopback whose connections can be cut, stalled and delayed; the way a bad network does it. */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

export interface TcpProxy {
  readonly port: number;
  /** Resets every connection that is open; new ones are taken. */
  cut(): void;
  /** Passes nothing on, in either direction, until `flow`; connections stay open. */
  stall(): void;
  /** Resets each new connection as soon as it is made, or takes them again. */
  refuse(on: boolean): void;
  flow(): void;
  /** Holds every piece back for so many milliseconds. */
  delay(ms: number): void;
  /** Connections taken so far. */
  readonly taken: number;
  close(): Promise<void>;
}

type Ends = readonly [Socket, Socket];

/** Forwards a free loopback port to `targetPort` on 127.0.0.1. */
export async function tcpProxy(targetPort: number): Promise<TcpProxy> {
  const pairs = new Set<Ends>();
  let stalled = false;
  let refusing = false;
  let delayMs = 0;
  let taken = 0;

  const pipe = (from: Socket, to: Socket): void => {
    // Late, but never out of order: each timer passes on the oldest.
    const late: Buffer[] = [];
    let passesAt = 0;
    const pass = (piece: Buffer | undefined): void => {
      if (piece !== undefined && !to.destroyed) to.write(piece);
    };
    from.on('data', (piece) => {
      const now = performance.now();
      passesAt = Math.max(passesAt, now + delayMs);
      if (late.length === 0 && delayMs === 0) return pass(piece);
      late.push(piece);
      setTimeout(() => pass(late.shift()), passesAt - now);
    });
    if (stalled) from.pause();
  };
  const server = createServer((client) => {
    if (refusing) {
      client.on('error', () => {});
      client.resetAndDestroy();
      return;
    }
    taken += 1;
    const upstream = connect(targetPort, '127.0.0.1');
    const ends: Ends = [client, upstream];
    pairs.add(ends);
    const end = (): void => {
      pairs.delete(ends);
      for (const socket of ends) socket.destroy();
    };
    for (const socket of ends) socket.on('error', end).on('close', end);
    pipe(client, upstream);
    pipe(upstream, client);
  });
  const cut = (): void => {
    // A reset, not a farewell: the peer learns nothing before it writes or reads.
    for (const ends of [...pairs]) for (const socket of ends) socket.resetAndDestroy();
    pairs.clear();
  };
  const setFlow = (on: boolean): void => {
    stalled = !on;
    for (const socket of [...pairs].flat()) {
      if (on) socket.resume();
      else socket.pause();
    }
  };
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    port: address.port,
    cut,
    stall: () => setFlow(false),
    flow: () => setFlow(true),
    refuse(on) {
      refusing = on;
    },
    delay(ms) {
      delayMs = ms;
    },
    get taken() {
      return taken;
    },
    async close() {
      cut();
      const closed = once(server, 'close');
      server.close();
      await closed;
    },
  };
}
