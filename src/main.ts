#!/usr/bin/env bun
/** The command line: parse, dispatch, exit code. Nothing else. */
import { Command } from '@commander-js/extra-typings';
import manifest from '../package.json' with { type: 'json' };
import { agentCommand, planCommand } from './commands/agent.ts';
import { confirmCommand } from './commands/confirm.ts';
import { demoCommand } from './commands/demo.ts';
import { EXIT } from './commands/exit.ts';
import { releaseCommand } from './commands/release.ts';
import { fromGoSpelling } from './config/index.ts';

const program = new Command('hostgw')
  .description('Containers on many hosts, one routed network, no encapsulation.')
  .version(manifest.version, '--version', 'print the version')
  .showHelpAfterError('(hostgw --help lists what there is)')
  .addHelpText(
    'after',
    `
Exit codes:
  ${EXIT.ok}  done, or ended by SIGTERM or SIGINT
  ${EXIT.failed}  something failed
  ${EXIT.usage}  the command line or the environment is wrong
  ${EXIT.host}  this host cannot run it: rights, an interface or a tool is missing
  ${EXIT.running}  another agent runs here already
  ${EXIT.notRunning}  no agent runs here, where one is spoken to`,
  );
program.exitOverride();
const { version } = manifest;
for (const command of [
  agentCommand(version),
  planCommand(version),
  confirmCommand(),
  releaseCommand(),
  demoCommand(),
]) {
  program.addCommand(command.copyInheritedSettings(program));
}

/** The commands that take the agent's flags, in flannel's spelling too. */
const FLAGGED = new Set(['agent', 'plan', 'release']);
const [name, ...rest] = process.argv.slice(2);
const words =
  name === undefined ? [] : FLAGGED.has(name) ? [name, ...fromGoSpelling(rest)] : [name, ...rest];
try {
  await program.parseAsync(words, { from: 'user' });
} catch (error) {
  if (!(error instanceof Error && 'exitCode' in error)) throw error;
  // The library has printed its sentence; it ends with 1 where the usage is wrong.
  process.exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.usage;
}
// What the runtime still has open (a connection to an etcd that does not answer) must not hold up the end.
await Promise.all([process.stdout, process.stderr].map(flushed));
process.exit();

function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => void stream.write('', () => resolve()));
}
