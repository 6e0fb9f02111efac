/** Our one nft table: put whole, in one transaction; compared with what the kernel showed right after that. */
import type { run } from '../../core/index.ts';
import { complaintOf, startProgram } from './program.ts';
import { NFT_TABLE, removeNftScript } from './rules.ts';

export type NftOutcome =
  | { readonly kind: 'unchanged' }
  | { readonly kind: 'written' }
  /** It had been written, and was changed or taken away by somebody. */
  | { readonly kind: 'repaired' }
  | { readonly kind: 'absent'; readonly reason: string }
  | { readonly kind: 'failed'; readonly reason: string };

interface Written {
  readonly script: string;
  /** How `nft list` shows it; undefined if that could not be read. */
  readonly listing: string | undefined;
}

export class NftTable {
  #run: typeof run;
  #written: Written | undefined;

  constructor(runProgram: typeof run) {
    this.#run = runProgram;
  }

  /** Makes the table what `script` says; writes nothing if it is so already. */
  async ensure(script: string, signal: AbortSignal): Promise<NftOutcome> {
    const before = this.#written;
    if (before?.script === script && before.listing !== undefined) {
      const listing = await this.#list(signal);
      if (listing === before.listing) return { kind: 'unchanged' };
    }
    const failure = await this.#apply(script, signal);
    if (failure !== undefined) {
      this.#written = undefined;
      return failure;
    }
    this.#written = { script, listing: await this.#list(signal) };
    return { kind: before?.script === script ? 'repaired' : 'written' };
  }

  /** Takes the table away, whoever wrote it. Resolves to a reason if it could not. */
  async remove(signal: AbortSignal): Promise<string | undefined> {
    this.#written = undefined;
    const failure = await this.#apply(removeNftScript, signal);
    // Where there is no nft, there is no table of ours.
    return failure?.kind === 'failed' ? failure.reason : undefined;
  }

  async #apply(
    script: string,
    signal: AbortSignal,
  ): Promise<Extract<NftOutcome, { reason: string }> | undefined> {
    const result = await startProgram(this.#run, 'nft', ['-f', '-'], { input: script, signal });
    if (result === undefined) return { kind: 'absent', reason: 'nft is not installed' };
    if (result.code === 0) return undefined;
    return { kind: 'failed', reason: `nft refused our table: ${complaintOf(result)}` };
  }

  /** Undefined if there is no such table, or it cannot be told. */
  async #list(signal: AbortSignal): Promise<string | undefined> {
    const args = ['list', 'table', ...NFT_TABLE.split(' ')];
    const result = await startProgram(this.#run, 'nft', args, { signal });
    return result?.code === 0 ? result.stdout : undefined;
  }
}
