/**
 * Keeps the way open from peers to this host's containers, and shut to everybody else: puts our nft table and our
 * iptables rules, looks again at an interval, and puts back what somebody flushed. One change at a time.
 */
import { type Clock, type Log, run } from '../../core/index.ts';
import type { Family } from '../../ip/index.ts';
import { Iptables, type IptablesOutcome } from './iptables.ts';
import { type Hear, keepLooking } from './lookout.ts';
import { type NftOutcome, NftTable } from './nft.ts';
import { carriedIn, type ForwardWanted, iptablesRules, nftScript, refusal } from './rules.ts';

/** `open`: all is in place. `partial`: peers reach containers, with the limits named. `failed`: they may not. */
export type ForwardStatus =
  | { readonly kind: 'open'; readonly how: string }
  | { readonly kind: 'partial'; readonly reason: string }
  | { readonly kind: 'failed'; readonly reason: string };

export interface ForwardPorts {
  readonly run?: typeof run;
  readonly log: Log;
  readonly clock: Clock;
  /** How often `watch` looks at most, and as often where changes cannot be heard; default 2000 ms. */
  readonly checkMs?: number;
  /** How changes of nftables are heard, where they can be. */
  readonly hear?: Hear | undefined;
  /** Reads /proc/net/ip_tables_names, or ip6_tables_names; a parameter for tests in other namespaces. */
  readonly legacyTables?: (family: Family) => Promise<string>;
}

const CHECK_MS = 2000;
/** Two programs that fight over a table must not fill the log. */
const QUIET_MS = 60_000;

export class ForwardRules {
  #log: Log;
  #clock: Clock;
  #checkMs: number;
  #hear: Hear | undefined;
  /** The rules seen last are all in nftables: iptables-legacy tells nobody of a change. */
  #audible = false;
  #nft: NftTable;
  #iptables: Readonly<Record<Family, Iptables>>;
  #wanted: ForwardWanted | undefined;
  /** The wish that was made true last, as text. */
  #settled = '';
  /** The last status, as text. */
  #told = '';
  #quietUntil = Number.NEGATIVE_INFINITY;
  /** An ensure() that has not begun; a later one joins it. */
  #waiting: Promise<ForwardStatus> | undefined;
  #queue: Promise<unknown> = Promise.resolve();

  constructor(ports: ForwardPorts) {
    this.#log = ports.log;
    this.#clock = ports.clock;
    this.#checkMs = ports.checkMs ?? CHECK_MS;
    this.#hear = ports.hear;
    this.#nft = new NftTable(ports.run ?? run);
    const tables = (family: Family): Iptables =>
      new Iptables(ports.run ?? run, family, ports.legacyTables);
    this.#iptables = { 4: tables(4), 6: tables(6) };
  }

  /** Makes the rules say `wanted`; changes nothing if they do. Calls that wait become one, with the last one's wish. */
  ensure(wanted: ForwardWanted, signal: AbortSignal): Promise<ForwardStatus> {
    this.#wanted = wanted;
    if (this.#waiting !== undefined) return this.#waiting;
    const turn = this.#inTurn(async () => {
      if (this.#waiting === turn) this.#waiting = undefined;
      return (await this.#reconcile(signal)) ?? removed;
    });
    this.#waiting = turn;
    return turn;
  }

  /**
   * Looks from time to time until `signal` aborts (lookout.ts), puts back what is gone and says so; `onStatus` hears every
   * status that is not the last one that `ensure` or it told. A look costs five short programs (nft list, iptables
   * --version, three iptables -S), in dual-stack nine: on two busy cores 22 ms with 3 peers, 34 ms with 1,000.
   */
  watch(onStatus: (status: ForwardStatus) => void, signal: AbortSignal): void {
    const turn = async (): Promise<void> => {
      const before = this.#told;
      const status = await this.#reconcile(signal);
      if (status !== undefined && this.#told !== before) onStatus(status);
    };
    const look = async (): Promise<boolean> => {
      await this.#inTurn(turn).catch((error: unknown) => {
        if (!signal.aborted) this.#log.error(`Looking at the forward rules failed: ${error}`);
      });
      return this.#audible;
    };
    const glance = async (): Promise<boolean> => {
      const wanted = this.#wanted;
      if (wanted === undefined) return false;
      const carried = ([4, 6] as const).filter((family) => carriedIn(wanted, family) !== undefined);
      const legacy = await Promise.all(
        carried.map((family) => this.#iptables[family].usesLegacy()),
      );
      return legacy.includes(true);
    };
    const ways = { hear: this.#hear, look, glance };
    keepLooking({ clock: this.#clock, everyMs: this.#checkMs, ...ways }, signal);
  }

  /** Takes everything of ours away. Resolves to what could not be, as one sentence. */
  remove(signal: AbortSignal): Promise<string | undefined> {
    this.#wanted = undefined;
    this.#settled = '';
    // A wish that comes after this call must not join a turn before it.
    this.#waiting = undefined;
    return this.#inTurn(async () => {
      // The accepts go first: without the mark they match nothing, but the guard must outlive what it guards.
      const four = await this.#iptables[4].remove(signal);
      const six = await this.#iptables[6].remove(signal);
      const failure = await this.#nft.remove(signal);
      const problems = [...four.problems, ...six.problems];
      const all = failure === undefined ? problems : [...problems, failure];
      return all.length === 0 ? undefined : `Forward rules are left: ${all.join('; ')}.`;
    });
  }

  /** Undefined if nothing is wanted (any more). */
  async #reconcile(signal: AbortSignal): Promise<ForwardStatus | undefined> {
    const wanted = this.#wanted;
    if (wanted === undefined) return undefined;
    const refused = refusal(wanted);
    if (refused !== undefined) return { kind: 'failed', reason: refused };
    const script = nftScript(wanted);
    const nft = await this.#nft.ensure(script, signal);
    const marking = nft.kind !== 'absent' && nft.kind !== 'failed';
    const iptables = await this.#ensureIptables(wanted, marking, signal);
    this.#say(script, nft, iptables);
    this.#audible = marking && !iptables.backends.some((name) => name.endsWith('-legacy'));
    const status = statusOf(nft, iptables.backends, iptables.problems);
    this.#told = JSON.stringify(status);
    return status;
  }

  /** In the families that are carried; the other one's chains are left as they are. */
  async #ensureIptables(
    wanted: ForwardWanted,
    marking: boolean,
    signal: AbortSignal,
  ): Promise<IptablesOutcome> {
    const outcomes: IptablesOutcome[] = [];
    for (const family of [4, 6] as const) {
      if (carriedIn(wanted, family) === undefined) continue;
      const rules = iptablesRules(wanted, family, marking);
      outcomes.push(await this.#iptables[family].ensure(rules, signal));
    }
    return {
      backends: outcomes.flatMap(({ backends }) => backends),
      changes: outcomes.flatMap(({ changes }) => changes),
      problems: outcomes.flatMap(({ problems }) => problems),
    };
  }

  /** Changes for a new wish are told; for the old one, somebody else took rules away: that is a warning. */
  #say(text: string, nft: NftOutcome, { changes, problems }: IptablesOutcome): void {
    const told = [...(nft.kind === 'repaired' ? ['nft table inet hostgw'] : []), ...changes];
    const repaired = this.#settled === text;
    this.#settled = problems.length === 0 ? text : '';
    if (told.length === 0) return;
    if (!repaired) {
      this.#log.info('forward rules put: peers reach this subnet, others only what is published');
      this.#log.debug(`forward rules put: ${told.join('; ')}`);
    } else if (this.#clock.now() < this.#quietUntil) {
      this.#log.debug(`Forward rules were gone again, put back: ${told.join('; ')}.`);
    } else {
      this.#quietUntil = this.#clock.now() + QUIET_MS;
      this.#log.warn(`Somebody changed or flushed forward rules, put back: ${told.join('; ')}.`);
    }
  }

  #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const turn = this.#queue.then(work);
    this.#queue = turn.catch(() => {});
    return turn;
  }
}

const removed: ForwardStatus = { kind: 'failed', reason: 'The forward rules were removed.' };

function statusOf(
  nft: NftOutcome,
  backends: readonly string[],
  problems: readonly string[],
): ForwardStatus {
  const chains = backends.join(' and ');
  if (nft.kind === 'unchanged' || nft.kind === 'written' || nft.kind === 'repaired') {
    if (problems.length > 0) {
      return {
        kind: 'failed',
        reason: `Where Docker drops what it did not publish, peers do not reach containers: ${problems.join('; ')}.`,
      };
    }
    // Docker needs iptables itself, so without it there is nothing of Docker's to open.
    const how = chains === '' ? 'guarded by nft; no iptables here' : `opened in nft and ${chains}`;
    return { kind: 'open', how };
  }
  const cure =
    nft.kind === 'absent'
      ? 'install nftables'
      : 'the kernel must have nf_tables and the agent CAP_NET_ADMIN';
  if (chains === '' || problems.length > 0) {
    const all = [nft.reason, ...problems, ...(chains === '' ? ['iptables is not installed'] : [])];
    return {
      kind: 'failed',
      reason: `Nothing opens firewalls to peers, nor guards against others: ${all.join('; ')}; ${cure}.`,
    };
  }
  return {
    kind: 'partial',
    reason:
      `Only sources inside Network are accepted (${chains}): peers that masquerade are not, containers' addresses are ` +
      `hidden by Docker's masquerade, and other hosts are not kept out: ${nft.reason}; ${cure}.`,
  };
}
