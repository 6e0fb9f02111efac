/** `hostgw demo`: four hosts, real agents and containers that reach each other, told as it happens. */

import { Command, InvalidArgumentError, Option } from '@commander-js/extra-typings';
import { sentenceOf } from '../core/index.ts';
import { type Lab, LabError } from '../lab/index.ts';
import { type DemoOptions, tellDemo } from './demo-story.ts';

const HOSTS_MAX = 50;

export function demoCommand(): Command {
  const command = new Command('demo')
    .description('build a network of hosts on this machine, watch it work, and take it away again')
    .addOption(
      new Option('--hosts <n>', `how many hosts, 2 to ${HOSTS_MAX}`)
        .default(4)
        .argParser(parseHosts),
    )
    .option('--keep', 'leave the hosts standing until Ctrl-C, and say how to look around', false)
    .addOption(
      new Option('--driver <driver>', 'how agents write routes')
        .choices(['auto', 'native', 'ip'] as const)
        .default('auto' as const),
    )
    .option('--plain', 'plain namespaces as containers, no Docker', false)
    .addHelpText(
      'after',
      '\nExit status: 0 every ping arrived, 1 not, 130 after Ctrl-C. Everything lives in namespaces that\nend with this command; nothing is changed on the machine.',
    )
    .action(async (options) => {
      process.exitCode = await runDemo(options);
    });
  // The caller adds it to a program of commands; what it parses is nobody else's business.
  return command as unknown as Command;
}

function parseHosts(text: string): number {
  const hosts = /^\d{1,3}$/.test(text) ? Number(text) : 0;
  if (hosts < 2 || hosts > HOSTS_MAX) {
    throw new InvalidArgumentError(`It must be a number from 2 to ${HOSTS_MAX}.`);
  }
  return hosts;
}

const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

/** Runs the story to its end or to a signal; the lab is gone when this returns. Gives the exit status. */
async function runDemo(options: DemoOptions): Promise<number> {
  const stop = new AbortController();
  const handlers = Object.entries(SIGNALS).map(([signal, status]) => {
    // A second signal does not wait for us: the namespaces end with this process in any case.
    const handler = (): void => (stop.signal.aborted ? process.exit(status) : stop.abort(status));
    process.on(signal, handler);
    return () => process.off(signal, handler);
  });
  const labs: Lab[] = [];
  const stopped = new Promise<number>((resolve) => {
    stop.signal.addEventListener('abort', () => resolve(Number(stop.signal.reason)), {
      once: true,
    });
  });
  const story = tellDemo(options, (lab) => labs.push(lab), stop.signal).catch((error: unknown) => {
    // Programs of the lab that end because the lab ends are no news.
    if (stop.signal.aborted) return Number(stop.signal.reason);
    const message = sentenceOf(error);
    process.stderr.write(`\n${error instanceof LabError ? '' : 'The demo failed: '}${message}\n`);
    return 1;
  });
  try {
    return await Promise.race([story, stopped]);
  } finally {
    for (const lab of labs) await lab.close();
    // A lab that was being built when the signal came ends here too: it is closed as soon as it stands.
    await story;
    for (const lab of labs) await lab.close();
    for (const off of handlers) off();
    if (stop.signal.aborted)
      process.stdout.write('\nStopped: hosts, agents and containers are gone.\n');
  }
}
