/** What is said about our own subnet: once per change, with what troubles it until that is over. */
import type { KeeperState } from './keeper.ts';
import type { OwnOutput, OwnStatus } from './ownTypes.ts';

export class Voice {
  #trouble: string | undefined;
  #status: OwnStatus = 'waiting';
  #what = '';
  #said = '';

  /** What is to be put out: nothing where it was said already. */
  say(status: OwnStatus, what: string): OwnOutput[] {
    this.#status = status;
    this.#what = what;
    return this.#output();
  }

  /** Goes with every sentence from now on; undefined: that is over, to be heard with the next one. */
  setTrouble(trouble: string | undefined): OwnOutput[] {
    this.#trouble = trouble;
    return trouble === undefined ? [] : this.#output();
  }

  /** What cannot be asked for, for want of an etcd lease: said once, however often that is refused. */
  ungranted(keeper: KeeperState): OwnOutput[] {
    const unrefused = keeper.kind !== 'granting' || keeper.reason === undefined;
    if (unrefused || this.#trouble !== undefined) return [];
    return this.setTrouble(`etcd did not grant a lease: ${keeper.reason}`);
  }

  #output(): OwnOutput[] {
    // Held, but what was to be written about it may or may not be in etcd.
    const troubled = this.#trouble !== undefined;
    const status = this.#status === 'held' && troubled ? 'doubtful' : this.#status;
    const sentence = troubled ? `${this.#what}; ${this.#trouble}` : this.#what;
    if (this.#said === `${status} ${sentence}`) return [];
    this.#said = `${status} ${sentence}`;
    return [{ type: 'status', status, sentence }];
  }
}
