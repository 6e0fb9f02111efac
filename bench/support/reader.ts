/**
 * A process that reads an etcd with one of two clients: `reader.ts CLIENT ENDPOINT PREFIX KEYS TIMES`. A line of JSON once it
 * has read its first key; then it lists the prefix, and watches it from the beginning, each TIMES times: another line.
 */
import process from 'node:process';
import type { KeyValue, WatchEvent } from '../../src/etcd/index.ts';

/** What is compared: both give our types, which the agent works on. */
export interface ReadingClient {
  first(key: string): Promise<unknown>;
  list(prefix: string): Promise<readonly KeyValue[]>;
  /** The events of a prefix from the first revision on, until the returned function is called. */
  watch(
    prefix: string,
    feed: (events: readonly WatchEvent[]) => void,
  ): Promise<() => Promise<void>>;
  close(): void;
}

/** Milliseconds that passed, and of processor time of the whole process. */
export interface Cost {
  readonly ms: number;
  readonly cpu: number;
}

/** The two lines; `count` is of the keys or events that came. */
export interface ReaderReady {
  readonly cpu: number;
}
export interface ReaderDone {
  readonly lists: readonly (Cost & { readonly count: number })[];
  readonly watches: readonly (Cost & { readonly count: number })[];
}

const cpu = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};

async function measured(work: () => Promise<number>): Promise<Cost & { readonly count: number }> {
  const begin = { ms: performance.now(), cpu: cpu() };
  const count = await work();
  return { ms: performance.now() - begin.ms, cpu: cpu() - begin.cpu, count };
}

/** How many puts were told when `keys` had been. */
async function watched(client: ReadingClient, prefix: string, keys: number): Promise<number> {
  const all = Promise.withResolvers<void>();
  let count = 0;
  const end = await client.watch(prefix, (events) => {
    for (const event of events) if (event.type === 'put') count += 1;
    if (count >= keys) all.resolve();
  });
  await all.promise;
  await end();
  return count;
}

const [name = '', endpoint = '', prefix = '', keys = '', times = ''] = process.argv.slice(2);
const { open } =
  name === 'ours' ? await import('./readerOurs.ts') : await import('./readerEtcd3.ts');
const client: ReadingClient = open(endpoint);
await client.first(prefix);
const say = (line: ReaderReady | ReaderDone): void => {
  process.stdout.write(`${JSON.stringify(line)}\n`);
};
say({ cpu: cpu() });
const lists: ReaderDone['lists'][number][] = [];
const watches: ReaderDone['watches'][number][] = [];
for (let round = 0; round < Number(times); round += 1) {
  lists.push(await measured(async () => (await client.list(prefix)).length));
  watches.push(await measured(() => watched(client, prefix, Number(keys))));
}
say({ lists, watches });
client.close();
