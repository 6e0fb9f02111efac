/**
 * What is wrong with this agent, as a list of named conditions, and the HTTP server that tells it.
 * Ready means: subnet held, view of the leases live, kernel as desired or each difference explained.
 */
import { createServer, type Server } from 'node:http';

/** One thing that is not as it should be. */
export interface Condition {
  /** Stable name for programs, e.g. `etcd`. */
  readonly code: string;
  /** One sentence for people. */
  readonly sentence: string;
  /** Whether the host is not ready while it lasts. */
  readonly blocking: boolean;
}

/** The conditions that hold now. Each is told once when it begins, changes or ends. */
export class Health {
  readonly #conditions = new Map<string, Condition>();
  readonly #tell: (condition: Condition | undefined, code: string) => void;

  /** `tell` gets a condition that began or changed, or undefined and the code of one that ended. */
  constructor(tell: (condition: Condition | undefined, code: string) => void) {
    this.#tell = tell;
  }

  set(condition: Condition): void {
    if (this.#conditions.get(condition.code)?.sentence === condition.sentence) return;
    this.#conditions.set(condition.code, condition);
    this.#tell(condition, condition.code);
  }

  clear(code: string): void {
    if (this.#conditions.delete(code)) this.#tell(undefined, code);
  }

  has(code: string): boolean {
    return this.#conditions.has(code);
  }

  get conditions(): readonly Condition[] {
    return [...this.#conditions.values()];
  }

  get ready(): boolean {
    return this.conditions.every((condition) => !condition.blocking);
  }
}

export interface HealthServerOptions {
  readonly ip: string;
  readonly port: number;
  readonly health: Health;
  /** Whatever else the status tells, as plain JSON data. */
  readonly details: () => object;
}

/**
 * Serves GET /healthz (200 while the process answers, as flannel) and /readyz (200 or 503, with the
 * conditions as JSON). Rejects with the system's error if the port cannot be had.
 */
export function serveHealth(options: HealthServerOptions): Promise<{ close(): Promise<void> }> {
  const server = createServer((request, response) => {
    const path = (request.url ?? '').split('?')[0];
    const { ready, conditions } = options.health;
    if (path === '/healthz') {
      response.writeHead(200, { 'content-type': 'text/plain' }).end('hostgw is running\n');
    } else if (path === '/readyz') {
      const body = JSON.stringify({ ready, conditions, ...options.details() });
      response
        .writeHead(ready ? 200 : 503, { 'content-type': 'application/json' })
        .end(`${body}\n`);
    } else {
      response
        .writeHead(404, { 'content-type': 'text/plain' })
        .end('there are /healthz and /readyz\n');
    }
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.ip, () => resolve({ close: () => closed(server) }));
  });
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
