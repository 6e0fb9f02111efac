/** `hostgw release`: gives this host's subnet back to the network, once no agent runs here. The one way to leave. */
import { Command } from '@commander-js/extra-typings';
import { HostUnusable, OtherAgent, runRelease } from '../agent/index.ts';
import { type AgentOptions, agentOptions } from '../config/index.ts';
import { EXIT } from './exit.ts';
import { addFlags } from './flags.ts';

/** What an agent of this host was started with, as far as it says where the subnet is kept and what is left behind. */
const HEEDED = /^(etcd-.*|state-dir|subnet-file|route-protocol|route-table|remove-forward-rules)$/;

export function releaseCommand(): Command {
  const command = new Command('release').description(
    "give this host's subnet back, where its agent is stopped for good",
  );
  const given = addFlags(command, ({ name }) => HEEDED.test(name));
  command.addHelpText(
    'after',
    "The agent's other flags are taken too, and count for nothing here.",
  );
  return command.action(async () => {
    process.exitCode = await release(given);
  });
}

async function release(given: ReadonlyMap<string, readonly string[]>): Promise<number> {
  try {
    const options = agentOptions(given, process.env);
    const { released, sentence } = await runRelease(options);
    if (!released) return fail(EXIT.failed, sentence);
    process.stdout.write(`${[sentence, ...remains(options)].join('\n')}\n`);
    return EXIT.ok;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    if (error instanceof RangeError) return fail(EXIT.usage, error.message);
    if (error instanceof OtherAgent) return fail(EXIT.running, error.message);
    return fail(error instanceof HostUnusable ? EXIT.host : EXIT.failed, error.message);
  }
}

function remains(options: AgentOptions): string[] {
  const { routeProtocol: protocol, routeTable, subnetFile, removeForwardRules } = options;
  const table = typeof routeTable === 'number' ? `table ${routeTable}` : `vrf ${routeTable}`;
  const rules = 'firewall rules: hostgw release --remove-forward-rules';
  return [
    'what stays on this host, and what takes it away:',
    `  routes to the peers: ip route flush proto ${protocol} ${table}; ip -6 route flush proto ${protocol} ${table}`,
    ...(removeForwardRules ? [] : [`  ${rules}`]),
    `  the subnet file, by which the next agent would ask for the same subnet: rm ${subnetFile}`,
    '  containers, which use the subnet until Docker is started on another one',
  ];
}

function fail(code: number, sentence: string): number {
  process.stderr.write(`hostgw release: ${sentence}\n`);
  return code;
}
