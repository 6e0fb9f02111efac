/**
 * Keeps the way open from peers to this host's containers, and shut to everybody else: puts our nft table and our
 * iptables rules, looks again at an interval, and puts back what somebody flushed. One change at a time.
 */
import { type Clock, type Log, run } from '../../core/index.ts';
import { Iptables } from './iptables.ts';
import { type NftOutcome, NftTable } from './nft.ts';
import { type ForwardWanted, iptablesRules, nftScript, refusal } from './rules.ts';

/** `open`: all is in place. `partial`: peers reach containers, with the limits named. `failed`: they may not. */
export type ForwardStatus =
  | { readonly kind: 'open'; readonly how: string }
  | { readonly kind: 'partial'; readonly reason: string }
  | { readonly kind: 'failed'; readonly reason: string };

export interface ForwardPorts {
  readonly run?: typeof run;
  readonly log: Log;
  readonly clock: Clock;
  /** How often `watch` looks; default 2000 ms. */
  readonly checkMs?: number;
  /** Reads /proc/net/ip_tables_names; a parameter for tests in other namespaces. */
  readonly legacyTables?: () => Promise<string>;
}

const CHECK_MS = 2000;

export class ForwardRules {
  #log: Log;
  #clock: Clock;
  #checkMs: number;
  #nft: NftTable;
  #iptables: Iptables;
  #wanted: ForwardWanted | undefined;
  #queue: Promise<unknown> = Promise.resolve();

  constructor(ports: ForwardPorts) {
    this.#log = ports.log;
    this.#clock = ports.clock;
    this.#checkMs = ports.checkMs ?? CHECK_MS;
    this.#nft = new NftTable(ports.run ?? run);
    this.#iptables = new Iptables(ports.run ?? run, ports.legacyTables);
  }

  /** Makes the rules say `wanted`; changes nothing if they do. Of several calls that wait, the last one's wish counts. */
  ensure(wanted: ForwardWanted, signal: AbortSignal): Promise<ForwardStatus> {
    this.#wanted = wanted;
    return this.#inTurn(async () => (await this.#reconcile(signal)) ?? removed);
  }

  /**
   * Looks every `checkMs` until `signal` aborts, puts back what is gone and says so; `onStatus` hears every change of
   * the status. A look costs four short programs (nft, iptables): some 15 ms of one core, whatever the number of peers.
   */
  watch(onStatus: (status: ForwardStatus) => void, signal: AbortSignal): void {
    let last = '';
    const look = async (): Promise<void> => {
      const status = await this.#inTurn(() => this.#reconcile(signal));
      const text = JSON.stringify(status);
      if (status !== undefined && text !== last) onStatus(status);
      last = text;
    };
    const next = (): void => {
      if (signal.aborted) return;
      const cancel = this.#clock.at(this.#clock.now() + this.#checkMs, () => {
        signal.removeEventListener('abort', cancel);
        look()
          .catch((error: unknown) => {
            if (!signal.aborted) this.#log.error(`Looking at the forward rules failed: ${error}`);
          })
          .finally(next);
      });
      signal.addEventListener('abort', cancel, { once: true });
    };
    next();
  }

  /** Takes everything of ours away. Resolves to what could not be, as one sentence. */
  remove(signal: AbortSignal): Promise<string | undefined> {
    this.#wanted = undefined;
    return this.#inTurn(async () => {
      // The accepts go first: without the mark they match nothing, but the guard must outlive what it guards.
      const { problems } = await this.#iptables.remove(signal);
      const failure = await this.#nft.remove(signal);
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
    const nft = await this.#nft.ensure(nftScript(wanted), signal);
    const marking = nft.kind !== 'absent' && nft.kind !== 'failed';
    const iptables = await this.#iptables.ensure(iptablesRules(wanted, marking), signal);
    this.#say(nft, iptables.changes);
    return statusOf(nft, iptables.backends, iptables.problems);
  }

  #say(nft: NftOutcome, changes: readonly string[]): void {
    if (nft.kind === 'repaired') {
      this.#log.warn('Somebody changed or flushed the nft table inet hostgw: put back.');
    }
    for (const change of changes) this.#log.info(`Forward rule changed: ${change}`);
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
  if (chains === '' || problems.length > 0) {
    const all = [nft.reason, ...problems, ...(chains === '' ? ['iptables is not installed'] : [])];
    return {
      kind: 'failed',
      reason: `Nothing opens firewalls to peers, nor guards against others: ${all.join('; ')}; install nftables.`,
    };
  }
  return {
    kind: 'partial',
    reason:
      `Only sources inside Network are accepted (${chains}): peers that masquerade are not, containers' addresses are ` +
      `hidden by Docker's masquerade, and other hosts are not kept out: ${nft.reason}; install nftables.`,
  };
}
