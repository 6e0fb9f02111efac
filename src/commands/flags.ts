/** The agent's flags on a command: shown by `--help` from their one table, collected as they were given. */
import { type Command, Option } from '@commander-js/extra-typings';
import { environmentName, FLAGS, type Flag } from '../config/index.ts';

/** Adds the flags; the map fills while the command line is read. Those that are not `shown` are taken all the same. */
export function addFlags(
  command: Command,
  shown: (flag: Flag) => boolean = () => true,
): Map<string, string[]> {
  const given = new Map<string, string[]>();
  command.addHelpText(
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
    if (flag.leftover || !shown(flag)) option.hideHelp();
    command.addOption(option);
  }
  return given;
}

function describe(flag: Flag): string {
  const preset = flag.default ? ` (default ${flag.default})` : '';
  return `${flag.help}${preset}${flag.refused ? `; refused: ${flag.refused}` : ''} [${environmentName(flag)}]`;
}
