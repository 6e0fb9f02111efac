/** `hostgw agent`: reads flags and environment, runs the agent until a signal, gives back the exit code. */
import { Command, Option } from '@commander-js/extra-typings';
import { HostUnusable, OtherAgent, runAgent } from '../agent/index.ts';
import { type AgentOptions, agentOptions, environmentName, FLAGS } from '../config/index.ts';
import { EXIT } from './exit.ts';

export function agentCommand(version: string): Command {
  const given = new Map<string, string[]>();
  const command = new Command('agent')
    .description('lease a subnet for this host and route to the others')
    .version(version, '--version', 'print the version')
    .addHelpText(
      'after',
      "\nEvery flag can be set in the environment, e.g. FLANNELD_ETCD_ENDPOINTS; the flag wins.\nflannel's spelling -flag=x is taken too.",
    );
  for (const flag of FLAGS) {
    const names = flag.name === 'v' ? '-v, --v' : `--${flag.name}`;
    const option = new Option(`${names} <${flag.value ?? 'BOOL'}>`, describe(flag));
    option.argParser((word: string) => {
      given.set(flag.name, [...(given.get(flag.name) ?? []), word]);
      return word;
    });
    if (flag.leftover) option.hideHelp();
    command.addOption(option);
  }
  return command.action(async () => {
    process.exitCode = await start(given, version);
  });
}

function describe(flag: (typeof FLAGS)[number]): string {
  const preset = flag.default ? ` (default ${flag.default})` : '';
  return `${flag.help}${preset}${flag.refused ? `; refused: ${flag.refused}` : ''} [${environmentName(flag)}]`;
}

async function start(
  given: ReadonlyMap<string, readonly string[]>,
  version: string,
): Promise<number> {
  let options: AgentOptions;
  try {
    options = agentOptions(given, process.env);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    process.stderr.write(`hostgw agent: ${error.message}\n`);
    return EXIT.usage;
  }
  const stop = new AbortController();
  const onSignal = (signal: NodeJS.Signals): void => stop.abort(signal);
  process.once('SIGTERM', onSignal);
  process.once('SIGINT', onSignal);
  // Listened to from the start: unheard it would end us under Deno, and open a debugger under Node and Bun.
  let confirm = (): void => {};
  process.on('SIGUSR1', () => confirm());
  try {
    await runAgent(options, version, stop.signal, (listener) => {
      confirm = listener;
    });
    return EXIT.ok;
  } catch (error) {
    if (error instanceof RangeError) {
      process.stderr.write(`hostgw agent: ${error.message}\n`);
      return EXIT.usage;
    }
    if (error instanceof HostUnusable) return EXIT.host;
    // It has been logged, whatever it was.
    return error instanceof OtherAgent ? EXIT.running : EXIT.failed;
  }
}
