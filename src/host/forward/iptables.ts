/**
 * Our few rules in the iptables or ip6tables chains, in each backend whose chains packets pass: reconciled by what
 * `iptables -S` prints. Rules of others are never touched; ours carry a comment.
 */
import { readFile } from 'node:fs/promises';
import type { RunResult, run } from '../../core/index.ts';
import type { Family } from '../../ip/index.ts';
import { complaintOf, startProgram } from './program.ts';
import { compareChain, DOCKER_USER, IPTABLES_CHAINS, type IptablesRule } from './rules.ts';

export interface IptablesOutcome {
  /** Names of the backends that hold our rules; empty where there is no iptables. */
  readonly backends: readonly string[];
  /** Changes that were made, for the log. */
  readonly changes: readonly string[];
  readonly problems: readonly string[];
}

type Tool = 'iptables' | 'ip6tables';

interface Backend {
  readonly program: Tool | `${Tool}-${'legacy' | 'nft'}`;
  readonly name: `${Tool}-${'legacy' | 'nft'}`;
}

type Chain = (typeof IPTABLES_CHAINS)[number];

/** Lists the tables that the legacy backend has in this network namespace; nothing where it is not in use. */
const legacyTables = (family: Family): Promise<string> =>
  readFile(`/proc/net/${family === 4 ? 'ip' : 'ip6'}_tables_names`, 'utf8').catch(() => '');

export class Iptables {
  #run: typeof run;
  #family: Family;
  #tool: Tool;
  #legacyTables: (family: Family) => Promise<string>;

  constructor(runProgram: typeof run, family: Family, readLegacyTables = legacyTables) {
    this.#run = runProgram;
    this.#family = family;
    this.#tool = family === 4 ? 'iptables' : 'ip6tables';
    this.#legacyTables = readLegacyTables;
  }

  /** Makes the rules of ours in every backend exactly `rules`. */
  async ensure(rules: readonly IptablesRule[], signal: AbortSignal): Promise<IptablesOutcome> {
    const backends = await this.#backends(signal);
    const changes: string[] = [];
    const problems: string[] = [];
    for (const backend of backends) {
      const edit = () => this.#ensureChains(backend, rules, changes, signal);
      let failures = await edit();
      // A flush, or Docker's start, may come between our look and our edit, and take a chain that another one's rule
      // jumps to: look at all of them once more.
      if (failures.length > 0) failures = await edit();
      problems.push(...failures.map((failure) => `${backend.name}: ${failure}`));
    }
    return { backends: backends.map(({ name }) => name), changes, problems };
  }

  /** Deletes our rules, and DOCKER-USER with its jump where nobody else uses it. */
  async remove(signal: AbortSignal): Promise<IptablesOutcome> {
    const outcome = await this.ensure([], signal);
    for (const backend of await this.#backends(signal)) {
      const docker = await this.#iptables(backend, 'filter', ['-S', 'DOCKER'], signal);
      const user = await this.#iptables(backend, 'filter', ['-S', DOCKER_USER], signal);
      const inUse = docker.code === 0 || user.code !== 0 || /^-A /m.test(user.stdout);
      if (inUse) continue;
      await this.#iptables(backend, 'filter', ['-D', 'FORWARD', '-j', DOCKER_USER], signal);
      // Fails, as it should, if another chain still jumps there.
      await this.#iptables(backend, 'filter', ['-X', DOCKER_USER], signal);
    }
    return outcome;
  }

  /** Whether the legacy backend has chains that packets pass. It tells nobody of a change. */
  async usesLegacy(): Promise<boolean> {
    return (await this.#legacyInUse()) !== undefined;
  }

  /** The default one, which Docker takes when it starts; the other one too where its chains are in use. */
  async #backends(signal: AbortSignal): Promise<Backend[]> {
    const version = await this.#start(this.#tool, ['--version'], signal);
    if (version !== undefined && version.code === 0) {
      const legacy = !version.stdout.includes('nf_tables');
      const main: Backend = {
        program: this.#tool,
        name: `${this.#tool}-${legacy ? 'legacy' : 'nft'}`,
      };
      const other = legacy ? await this.#nftInUse(signal) : await this.#legacyInUse();
      return other === undefined ? [main] : [main, other];
    }
    const others = [await this.#nftInUse(signal), await this.#legacyInUse()];
    return others.flatMap((backend) => backend ?? []);
  }

  async #legacyInUse(): Promise<Backend | undefined> {
    const tables = (await this.#legacyTables(this.#family)).split('\n');
    // Asking the program instead would load the very tables that were to be found.
    if (!tables.includes('filter') && !tables.includes('raw')) return undefined;
    return { program: `${this.#tool}-legacy`, name: `${this.#tool}-legacy` };
  }

  async #nftInUse(signal: AbortSignal): Promise<Backend | undefined> {
    const table = this.#family === 4 ? 'ip' : 'ip6';
    const listing = await this.#start('nft', ['list', 'chain', table, 'filter', 'FORWARD'], signal);
    if (listing?.code !== 0) return undefined;
    return { program: `${this.#tool}-nft`, name: `${this.#tool}-nft` };
  }

  /** What could not be done, chain by chain. */
  async #ensureChains(
    backend: Backend,
    rules: readonly IptablesRule[],
    changes: string[],
    signal: AbortSignal,
  ): Promise<string[]> {
    const failures: string[] = [];
    for (const chain of IPTABLES_CHAINS) {
      const wanted = rules.filter(
        (rule) => rule.table === chain.table && rule.chain === chain.chain,
      );
      const failure = await this.#ensureChain(backend, chain, wanted, changes, signal);
      if (failure !== undefined) failures.push(failure);
    }
    return failures;
  }

  async #ensureChain(
    backend: Backend,
    { table, chain }: Chain,
    wanted: readonly IptablesRule[],
    changes: string[],
    signal: AbortSignal,
  ): Promise<string | undefined> {
    let listing = await this.#iptables(backend, table, ['-S', chain], signal);
    if (listing.code !== 0) {
      // Only DOCKER-USER can be absent; a second start of somebody at once may have made it since.
      if (wanted.length === 0) return undefined;
      if (chain !== DOCKER_USER)
        return `${chain} of ${table} cannot be read: ${complaintOf(listing)}`;
      await this.#iptables(backend, table, ['-N', chain], signal);
      listing = await this.#iptables(backend, table, ['-S', chain], signal);
      if (listing.code !== 0) return `${chain} cannot be created: ${complaintOf(listing)}`;
    }
    const { missing, stale } = compareChain(listing.stdout, wanted);
    const edits = [
      // Added before the stale ones go, so that nothing that is let through is interrupted.
      ...missing.map(({ place, spec }) => [
        place === 'first' ? '-I' : '-A',
        chain,
        ...spec.split(' '),
      ]),
      ...stale.map((spec) => ['-D', chain, ...spec.split(' ')]),
    ];
    for (const edit of edits) {
      const result = await this.#iptables(backend, table, edit, signal);
      if (result.code !== 0) return `${edit.join(' ')} (${table}) failed: ${complaintOf(result)}`;
      changes.push(`${backend.name} -t ${table} ${edit.join(' ')}`);
    }
    return undefined;
  }

  async #iptables(
    { program }: Backend,
    table: string,
    args: readonly string[],
    signal: AbortSignal,
  ): Promise<RunResult> {
    // -w: legacy changes a table by reading and writing it whole, under a lock that Docker takes too.
    const result = await this.#start(program, ['-w', '5', '-t', table, ...args], signal);
    return result ?? { code: 127, stdout: '', stderr: `${program} is not installed` };
  }

  #start(
    program: string,
    args: readonly string[],
    signal: AbortSignal,
  ): Promise<RunResult | undefined> {
    return startProgram(this.#run, program, args, { signal });
  }
}
