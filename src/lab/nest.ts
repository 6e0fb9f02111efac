/**
 * The namespaces everything in a lab lives in: one pid namespace whose first process dies with us, also
 * on kill -9, and takes every process, mount, interface and netns name of the lab with it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type RunOptions, type RunResult, run } from '../core/index.ts';
import { LabProcess } from './process.ts';

/** The lab cannot be built on this machine; the message is one sentence for people. */
export class LabError extends Error {
  override readonly name = 'LabError';
}

export interface Nest {
  /** The first process of the lab, seen from outside. */
  readonly pid: number;
  /** True if the lab belongs to an ordinary user, in a user namespace. */
  readonly rootless: boolean;
  /** Unique name, for what lives outside the namespaces: cgroups. */
  readonly name: string;
  /** Command line that enters the namespaces of process `pid` (default: the lab's own) and runs `command`. */
  enter(command: readonly string[], pid?: number): string[];
  run(command: readonly string[], options?: RunOptions, pid?: number): Promise<RunResult>;
  spawn(
    name: string,
    command: readonly string[],
    env?: Record<string, string>,
    pid?: number,
  ): LabProcess;
  /** Empty cgroups under this lab's name are removed when the lab is gone, also after kill -9. */
  coverCgroups(): void;
  close(): Promise<void>;
}

// On a machine with systemd the mount tree is shared; unshare --mount makes it private by itself.
// /var/lib (and /etc, if Docker's folder is missing there) gets an overlay, so that mount points for hosts can be made without touching the machine.
// The last line waits with `wait` rather than exec: a first process has to reap orphans.
const FIRST_PROCESS = `
set -e
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/netns /run/lab
for d in /var/lib $( [ -d /etc/docker ] || echo /etc ); do
  u=/run/lab/overlay$d; mkdir -p $u/upper $u/work
  mount -t overlay overlay -o lowerdir=$d,upperdir=$u/upper,workdir=$u/work $d 2>/dev/null || mount -t tmpfs tmpfs $d
done
mkdir -p /var/lib/hostgw /var/lib/docker /var/lib/containerd
[ -d /etc/docker ] || mkdir /etc/docker
ip link set lo up
echo up
sleep infinity &
wait
`;

export async function openNest(): Promise<Nest> {
  const root = process.getuid?.() === 0;
  const userNamespace = root ? [] : ['unshare', '--user', '--map-root-user'];
  const first = new LabProcess(
    'the lab',
    [
      ...userNamespace,
      ...['setpriv', '--pdeathsig', 'KILL'],
      ...['unshare', '--mount', '--pid', '--net', '--fork', '--kill-child', '--mount-proc'],
      ...['sh', '-c', FIRST_PROCESS],
    ],
    { forks: true },
  );
  try {
    await first.waitFor(/^up$/);
  } catch {
    const reason = first.lines.at(-1)?.text ?? first.lastWords();
    throw new LabError(
      root
        ? `The lab needs the right to make namespaces and mounts, which this machine does not give to root: ${reason}`
        : `The lab needs root: this machine does not let an ordinary user make namespaces (${reason}). Run it with sudo.`,
    );
  }
  const pid = first.pid;
  if (pid === undefined)
    throw new LabError(`The lab ended as soon as it had started: ${first.lastWords()}`);
  return makeNest(first, pid, !root);
}

function makeNest(first: LabProcess, pid: number, rootless: boolean): Nest {
  const name = `hostgw-lab-${process.pid}-${randomBytes(3).toString('hex')}`;
  const userArgs = rootless ? ['--user', '--preserve-credentials'] : [];
  let janitor: ChildProcess | undefined;

  const enter = (command: readonly string[], target = pid): string[] => [
    ...['nsenter', '-t', String(target), ...userArgs, '-m', '-n', '-p', '--'],
    ...command,
  ];
  let closed: Promise<void> | undefined;
  const endAll = async (): Promise<void> => {
    first.kill('SIGKILL');
    await first.exited;
    if (!janitor) return;
    const done = once(janitor, 'exit');
    janitor.stdin?.end();
    await done;
  };
  return {
    pid,
    rootless,
    name,
    enter,
    run(command, options, target) {
      const [file = '', ...args] = enter(command, target);
      // More than one machine's worth of hosts may start at once: patience costs nothing when all is well.
      return run(file, args, { timeoutMs: 30_000, ...options });
    },
    spawn: (processName, command, env, target) =>
      new LabProcess(processName, enter(command, target), { forks: true, ...(env && { env }) }),
    coverCgroups() {
      janitor ??= startJanitor(name);
    },
    close() {
      closed ??= endAll();
      return closed;
    },
  };
}

/**
 * cgroups are no namespace: a killed engine leaves its empty folders. A small shell of its own session
 * holds the other end of a pipe to us; when that closes, however we ended, it removes them.
 */
function startJanitor(name: string): ChildProcess {
  const script = `cat >/dev/null
    for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
      find /sys/fs/cgroup -depth -type d -path '*/${name}*' -exec rmdir {} ';' 2>/dev/null
      [ -z "$(find /sys/fs/cgroup -type d -name '${name}*' 2>/dev/null)" ] && exit 0
      sleep 0.2
    done`;
  return spawn('sh', ['-c', script], { detached: true, stdio: ['pipe', 'ignore', 'ignore'] });
}
