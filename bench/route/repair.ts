/** Routes deleted by hand, one after another: how long until each is back, by the kernel's own events. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Bench, Context, Row } from '../support/bench.ts';
import { Hand } from '../support/kernel.ts';
import { prefixAt } from '../support/routes.ts';
import { Worker } from '../support/workers.ts';

const ROUTES = 5_000;
const BOUNDS = { native: 20, ip: 100 } as const;
const MARK = '192.0.2.255';

export const repair: Bench = {
  name: 'repair',
  what: '200 of 5,000 routes deleted by hand one after another: each back, native and ip driver',
  async run(context: Context): Promise<Row[]> {
    const rows: Row[] = [];
    for (const driver of ['native', 'ip'] as const) {
      for (const pauseMs of [50, 0]) {
        context.progress(`${driver}, ${pauseMs} ms between`);
        rows.push({
          what: `a deleted route is back, ${driver}, the next one after ${pauseMs} ms`,
          unit: 'ms',
          runs: await repairs(context, driver, pauseMs),
          // Without a pause each waits for the next dump, of which there is one in 20 ms at most.
          ...(pauseMs > 0 && { must: { of: 'p95', max: BOUNDS[driver] } as const }),
          proof: 'the kernel’s events',
        });
      }
    }
    return rows;
  },
};

async function repairs(context: Context, driver: 'native' | 'ip', pauseMs: number) {
  const worker = await Worker.open('bun', driver, context.net.device);
  await worker.ask({ do: 'start', metrics: 1024 });
  await worker.ask({ do: 'install', routes: ROUTES });
  await worker.ask({ do: 'settled' });
  const hand = new Hand();
  const events = new Events();
  await events.listening(hand);
  const runs: number[] = [];
  for (let index = 0; index < (context.quick ? 50 : 200); index += 1) {
    const prefix = prefixAt(index).text;
    hand.do(`route del ${prefix}`);
    runs.push(await events.back(prefix));
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
  await hand.close();
  await events.close();
  await worker.ask({ do: 'stop' });
  await worker.ask({ do: 'apply', kind: 'delete', routes: ROUTES, metrics: 1024 });
  await worker.close();
  return runs;
}

/** `ip -ts monitor route`: its stamps are of the moment that it hears of a change. */
class Events {
  readonly #child = spawn('ip', ['-4', '-ts', '-o', 'monitor', 'route'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  readonly #deleted = new Map<string, number>();
  #heard: ((prefix: string, ms: number | undefined) => void) | undefined;

  constructor() {
    createInterface({ input: this.#child.stdout }).on('line', (line) => this.#line(line));
  }

  /** Resolves once changes are surely heard. */
  async listening(hand: Hand): Promise<void> {
    const heard = this.back(MARK, true);
    const again = setInterval(() => {
      hand.do(`route add blackhole ${MARK}`);
      hand.do(`route del blackhole ${MARK}`);
    }, 20);
    await heard;
    clearInterval(again);
  }

  /** Milliseconds from the event that `prefix` went to the event that it is there again. */
  back(prefix: string, justGone = false): Promise<number> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${prefix} did not come back`)), 60_000);
      this.#heard = (which, ms) => {
        if (which !== prefix || (ms === undefined && !justGone)) return;
        clearTimeout(timer);
        resolve(ms ?? 0);
      };
    });
  }

  async close(): Promise<void> {
    this.#child.kill();
    if (this.#child.exitCode === null) await once(this.#child, 'exit');
  }

  #line(line: string): void {
    const [, stamp = '', deleted, prefix = ''] =
      /^\[[^\]]*T([\d:.]+)\] (Deleted )?(?:blackhole )?(\S+)/.exec(line) ?? [];
    const [hours = 0, minutes = 0, seconds = 0] = stamp.split(':').map(Number);
    const at = ((hours * 60 + minutes) * 60 + seconds) * 1000;
    if (deleted !== undefined) {
      this.#deleted.set(prefix, at);
      this.#heard?.(prefix, undefined);
      return;
    }
    const since = this.#deleted.get(prefix);
    if (since !== undefined) this.#heard?.(prefix, at - since);
  }
}
