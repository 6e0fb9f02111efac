/**
 * Tells systemd how the service is: READY=1, STATUS=, STOPPING=1 (sd_notify(3)), by the addon where it is loaded,
 * else by systemd-notify. Outside systemd it does nothing; no failure of it reaches the agent.
 */
import { run, sentenceOf } from '../core/index.ts';

export interface Notifier {
  /** The service is up; `status` is what `systemctl status` shows. */
  ready(status: string): Promise<void>;
  status(status: string): Promise<void>;
  stopping(): Promise<void>;
}

export interface NotifierPorts {
  /** Sends one datagram to $NOTIFY_SOCKET; may throw. */
  readonly nativeNotify?: ((text: string) => void) | undefined;
  readonly env?: NodeJS.ProcessEnv;
  readonly run?: typeof run;
  /** Told once, with the reason, if systemd cannot be told. */
  readonly onTrouble?: (sentence: string) => void;
}

export function systemdNotifier(ports: NotifierPorts = {}): Notifier {
  const { env = process.env, run: runProgram = run, onTrouble = () => {} } = ports;
  // Without the socket there is nobody to tell: not started by systemd, or the unit is no Type=notify.
  const { NOTIFY_SOCKET } = env;
  if (NOTIFY_SOCKET === undefined || NOTIFY_SOCKET === '') {
    const nothing = async (): Promise<void> => {};
    return { ready: nothing, status: nothing, stopping: nothing };
  }
  let native = ports.nativeNotify;
  let troubled = false;
  const byProgram = async (lines: readonly string[]): Promise<void> => {
    // --no-block: else it waits for an answer that only comes once the message was processed. --pid: systemd then
    // counts it as ours, where the sender is root; else the unit needs NotifyAccess=all.
    const args = ['--no-block', `--pid=${process.pid}`, ...lines];
    const result = await runProgram('systemd-notify', args, { timeoutMs: 5000 });
    if (result.code !== 0) throw new Error(result.stderr.trim() || `status ${result.code}`);
  };
  const send = async (lines: readonly string[]): Promise<void> => {
    try {
      if (native !== undefined) return native(lines.join('\n'));
    } catch {
      native = undefined;
    }
    try {
      await byProgram(lines);
    } catch (error) {
      if (troubled) return;
      troubled = true;
      const why = sentenceOf(error);
      onTrouble(`systemd cannot be told how this service is: ${why}`);
    }
  };
  // One after another: two programs started at once may arrive in either order, and an older STATUS= would stay.
  let last = Promise.resolve();
  /** A status that nothing was told after and that is not on its way yet: a newer one takes its place. */
  let waiting: { line: string } | undefined;
  const tell = (...lines: string[]): Promise<void> => {
    waiting = undefined;
    last = last.then(() => send(lines));
    return last;
  };
  const tellStatus = (line: string): Promise<void> => {
    if (waiting !== undefined) {
      waiting.line = line;
      return last;
    }
    const mine = { line };
    waiting = mine;
    last = last.then(() => {
      if (waiting === mine) waiting = undefined;
      return send([mine.line]);
    });
    return last;
  };
  return {
    ready: (status) => tell('READY=1', statusLine(status)),
    status: (status) => tellStatus(statusLine(status)),
    stopping: () => tell('STOPPING=1'),
  };
}

/** A line break would begin another assignment. */
const statusLine = (status: string): string => `STATUS=${status.replaceAll(/\s+/g, ' ').trim()}`;
