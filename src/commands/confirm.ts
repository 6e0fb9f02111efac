/**
 * `hostgw confirm`: tells the agent of this network namespace that a mass loss of peers is meant. By a signal: whoever may
 * send it may end the agent as well, while its socket has no owner and so must take no orders.
 */

import { Command } from '@commander-js/extra-typings';
import { sentenceOf } from '../core/index.ts';
import { lockHolder } from '../host/index.ts';
import { EXIT } from './exit.ts';

export function confirmCommand(): Command {
  return new Command('confirm')
    .description('let the routes go that the agent holds because most peers vanished at once')
    .action(async () => {
      process.exitCode = await confirm();
    });
}

async function confirm(): Promise<number> {
  const holder = await lockHolder('agent').catch((error: unknown) => String(error));
  if (typeof holder === 'string')
    return fail(EXIT.host, `the agent cannot be looked for: ${holder}`);
  if (holder.kind === 'none')
    return fail(EXIT.notRunning, 'no agent runs in this network namespace');
  if (holder.pid === undefined)
    return fail(
      EXIT.host,
      'an agent runs in this network namespace, but its process cannot be seen from here: run this as root, or in its container, or send it SIGUSR1',
    );
  try {
    process.kill(holder.pid, 'SIGUSR1');
  } catch (error) {
    const reason = sentenceOf(error);
    return fail(EXIT.host, `the agent with pid ${holder.pid} cannot be told: ${reason}`);
  }
  process.stdout.write(
    `told the agent with pid ${holder.pid} that the loss is meant; its log says what it does\n`,
  );
  return EXIT.ok;
}

function fail(code: number, sentence: string): number {
  process.stderr.write(`hostgw confirm: ${sentence}\n`);
  return code;
}
