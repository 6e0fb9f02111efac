/** What the kernel of a host says about routes, as it happens: `ip monitor route`, and no agent's word. */
import type { Host } from './host.ts';
import type { LabProcess } from './process.ts';

export interface RouteWatch {
  readonly process: LabProcess;
  /** Lines about routes with a gateway; a removal begins with `Deleted`. */
  changes(): string[];
  /** Monotonic time (ms) at which the last of `count` different prefixes got a route with a gateway; waits for it. */
  added(count: number, timeoutMs?: number): Promise<number>;
  stop(): Promise<void>;
}

const MARK = '192.0.2.255';

/** Resolves when the kernel's messages are being heard. */
export async function watchRoutes(host: Host): Promise<RouteWatch> {
  const monitor = host.spawn('ip monitor', ['ip', '-4', '-ts', 'monitor', 'route']);
  await hear(host, monitor);
  const changes = (): string[] =>
    monitor.lines.map((line) => line.text).filter((text) => / via /.test(text));
  return {
    process: monitor,
    changes,
    added(count, timeoutMs = 30_000) {
      const seen = new Set<string>();
      return new Promise((resolve, reject) => {
        const look = (text: string): void => {
          const [, prefix] = /^(?:\[[^\]]*\] ?)?([0-9.]+\/\d+) via /.exec(text) ?? [];
          if (prefix !== undefined) seen.add(prefix);
          if (seen.size < count) return;
          clearTimeout(timer);
          resolve(performance.now());
        };
        const fail = (when: string): void => {
          clearTimeout(timer);
          const got = [...seen].join(', ') || 'none';
          const sentence = `has routes to ${seen.size} of ${count} peers ${when}: ${got}`;
          reject(new Error(`${host.name} ${sentence}`));
        };
        const timer = setTimeout(fail, timeoutMs, `after ${timeoutMs} ms`);
        // The lab is being closed: nobody will tell us more.
        void monitor.exited.then(() => fail('at the end of the lab'));
        for (const line of monitor.lines) look(line.text);
        monitor.onLine(look);
      });
    },
    async stop() {
      monitor.kill('SIGKILL');
      await monitor.exited;
    },
  };
}

// ip monitor does not say when it listens: a route of the host's own to nowhere is added and removed until it is seen.
async function hear(host: Host, monitor: LabProcess): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt++) {
    await host.must(['ip', 'route', 'add', 'blackhole', MARK]);
    await host.must(['ip', 'route', 'del', 'blackhole', MARK]);
    const heard = await monitor.waitFor(`Deleted blackhole ${MARK}`, 100).catch(() => undefined);
    if (heard) return;
  }
  throw new Error(`ip monitor on ${host.name} hears nothing; ${monitor.lastWords()}`);
}
