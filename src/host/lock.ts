/**
 * One agent in a network namespace: a lock by an abstract Unix socket, which is per network namespace, as the routing
 * table is, and goes with its holder, also on kill -9. The holder tells its pid to whoever asks. It never blocks an exit.
 */
import { readdir, readFile, readlink } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';

export type Lock =
  | { readonly kind: 'held'; readonly release: () => Promise<void> }
  /** `heldBy`: its pid (in its own pid namespace), where the holder answered. */
  | { readonly kind: 'taken'; readonly heldBy: number | undefined };

const ANSWER_MS = 3000;
const ATTEMPTS = 5;

/** Rejects only if the system gives no socket at all. */
export async function acquireLock(name: string): Promise<Lock> {
  const path = `\0hostgw/${name}`;
  for (let attempt = 1; ; attempt++) {
    const server = await listen(path);
    if (server !== undefined) return { kind: 'held', release: () => close(server) };
    const answer = await ask(path);
    // Refused: the holder went between our two calls, so the name may be free now.
    if (answer !== 'gone' || attempt === ATTEMPTS) {
      return { kind: 'taken', heldBy: answer === 'gone' ? undefined : answer };
    }
  }
}

export type Holder =
  | { readonly kind: 'none' }
  /** Undefined: it is there, but which process holds it cannot be seen from here. */
  | { readonly kind: 'held'; readonly pid: number | undefined };

/**
 * Who holds a lock, by a pid that is proven: an abstract socket has no owner, so anybody may have taken the name and tell
 * any pid. What counts is that the process has the listening socket open. `proc` is the proc file system.
 */
export async function lockHolder(name: string, proc = '/proc'): Promise<Holder> {
  const inodes = listening(await readFile(`${proc}/net/unix`, 'utf8'), `@hostgw/${name}`);
  if (inodes.size === 0) return { kind: 'none' };
  for (const pid of (await readdir(proc)).filter((entry) => /^\d+$/.test(entry)))
    if (await hasSocket(`${proc}/${pid}/fd`, inodes)) return { kind: 'held', pid: Number(pid) };
  return { kind: 'held', pid: undefined };
}

/** `Num RefCount Protocol Flags Type St Inode Path`; the flag 0x10000 is __SO_ACCEPTCON. */
function listening(table: string, path: string): ReadonlySet<string> {
  const inodes = new Set<string>();
  for (const line of table.split('\n')) {
    const [, , , flags = '', , , inode = '', name = ''] = line.trim().split(/\s+/);
    // Some runtimes bind with the zeros behind the name, which are printed as @.
    if (name.replace(/@+$/, '') !== path) continue;
    if ((Number.parseInt(flags, 16) & 0x10000) !== 0) inodes.add(`socket:[${inode}]`);
  }
  return inodes;
}

async function hasSocket(folder: string, sockets: ReadonlySet<string>): Promise<boolean> {
  // Processes end while we look, and those of others are not ours to look into.
  const entries = await readdir(folder).catch(() => []);
  const targets = await Promise.all(
    entries.map((entry) => readlink(`${folder}/${entry}`).catch(() => '')),
  );
  return targets.some((target) => sockets.has(target));
}

/** Undefined if the name is taken. */
function listen(path: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => {
      socket.unref();
      // Whoever asks may hang up at any moment.
      socket.on('error', () => {});
      socket.end(`${process.pid}\n`, () => socket.destroy());
    });
    server.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(undefined);
      else reject(error);
    });
    server.listen({ path }, () => {
      server.unref();
      resolve(server);
    });
  });
}

function ask(path: string): Promise<number | undefined | 'gone'> {
  return new Promise((resolve) => {
    let text = '';
    const socket: Socket = connect({ path });
    const done = (answer: number | undefined | 'gone'): void => {
      socket.destroy();
      resolve(answer);
    };
    const said = (): number | undefined =>
      /^\d{1,10}\n/.test(text) ? Number.parseInt(text, 10) : undefined;
    socket.setTimeout(ANSWER_MS, () => done(undefined));
    socket.on('error', (error: NodeJS.ErrnoException) =>
      done(error.code === 'ECONNREFUSED' ? 'gone' : undefined),
    );
    socket.on('data', (bytes: Buffer) => {
      text += bytes.toString('latin1');
      // Abstract sockets have no owner: a stranger may hold the name and talk for ever.
      if (said() !== undefined || text.length > 32) done(said());
    });
    socket.on('end', () => done(said()));
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}
