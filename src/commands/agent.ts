/**
 * `hostgw agent`: reads flags and environment, runs the agent until a signal, gives back the exit code.
 * `hostgw plan`: the same agent as a dry run.
 */
import { Command } from '@commander-js/extra-typings';
import { dryRun, HostUnusable, NoPlan, OtherAgent, runAgent } from '../agent/index.ts';
import { type AgentOptions, agentOptions } from '../config/index.ts';
import { EXIT } from './exit.ts';
import { addFlags } from './flags.ts';

export function agentCommand(version: string): Command {
  return withFlags('agent', 'lease a subnet for this host and route to the others', version);
}

export function planCommand(version: string): Command {
  const what = 'print what the agent would change, and why; change nothing (agent --dry-run)';
  return withFlags('plan', what, version);
}

function withFlags(name: 'agent' | 'plan', what: string, version: string): Command {
  const command = new Command(name)
    .description(what)
    .version(version, '--version', 'print the version');
  const given = addFlags(command);
  return command.action(async () => {
    if (name === 'plan') given.set('dry-run', ['true']);
    process.exitCode = await start(name, given, version);
  });
}

async function start(
  name: string,
  given: ReadonlyMap<string, readonly string[]>,
  version: string,
): Promise<number> {
  let options: AgentOptions;
  try {
    options = agentOptions(given, process.env);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return fail(name, EXIT.usage, error);
  }
  const stop = new AbortController();
  const onSignal = (signal: NodeJS.Signals): void => stop.abort(signal);
  process.once('SIGTERM', onSignal);
  process.once('SIGINT', onSignal);
  if (options.dryRun) return plan(name, options, stop.signal);
  // Listened to from the start: unheard it would end us under Deno, and open a debugger under Node and Bun.
  let confirm = (): void => {};
  process.on('SIGUSR1', () => confirm());
  try {
    await runAgent(options, version, stop.signal, (listener) => {
      confirm = listener;
    });
    return EXIT.ok;
  } catch (error) {
    if (error instanceof RangeError) return fail(name, EXIT.usage, error);
    if (error instanceof HostUnusable) return EXIT.host;
    // It has been logged, whatever it was.
    return error instanceof OtherAgent ? EXIT.running : EXIT.failed;
  }
}

async function plan(name: string, options: AgentOptions, signal: AbortSignal): Promise<number> {
  try {
    const lines = await dryRun(options, signal);
    process.stdout.write(`${lines.join('\n')}\n`);
    return EXIT.ok;
  } catch (error) {
    if (error instanceof RangeError) return fail(name, EXIT.usage, error);
    if (error instanceof HostUnusable) return fail(name, EXIT.host, error);
    if (error instanceof NoPlan) return fail(name, EXIT.failed, error);
    throw error;
  }
}

function fail(name: string, code: number, { message }: Error): number {
  process.stderr.write(`hostgw ${name}: ${message}\n`);
  return code;
}
