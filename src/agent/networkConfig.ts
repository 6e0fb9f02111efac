/**
 * Which network config counts: the one in etcd, unless that is gone, wrong or without our subnet. Then the one before
 * goes on to count, and it is said why.
 */
import { type NetworkConfig, parseNetworkConfig } from '../config/index.ts';
import { type ConfigState, fits, type HeldSubnet, subnetsText } from '../lease/index.ts';

/** What etcd says now, and what is wrong with it. */
interface ConfigNews {
  readonly state: ConfigState;
  readonly trouble: string | undefined;
  /** Another config counts from now on. */
  readonly changed: boolean;
}

export class CountingConfig {
  readonly #key: string;
  /** The text in etcd; undefined: there is none, or nothing was heard of it yet. */
  #inEtcd: string | undefined;
  #counting: { readonly text: string; readonly config: NetworkConfig } | undefined;

  /** `key` is named in sentences. */
  constructor(key: string) {
    this.#key = key;
  }

  /** The one that counts. */
  get config(): NetworkConfig | undefined {
    return this.#counting?.config;
  }

  /** Its text. */
  get text(): string | undefined {
    return this.#counting?.text;
  }

  /** Etcd has none, as far as we know. */
  get missing(): boolean {
    return this.#inEtcd === undefined;
  }

  /** Lets the one count that counted before this run, until etcd says more. Returns whether it does. */
  restore(text: string | undefined): boolean {
    const state = stateOf(text);
    if (text === undefined || state.kind !== 'valid') return false;
    this.#counting = { text, config: state.config };
    return true;
  }

  /** Takes what etcd has, where it is new: else undefined. */
  take(text: string | undefined, held: HeldSubnet | undefined): ConfigNews | undefined {
    if (text !== undefined && text === this.#inEtcd) return undefined;
    this.#inEtcd = text;
    const state = stateOf(text);
    const trouble = this.#troubleOf(state, held);
    if (text === undefined || state.kind !== 'valid' || trouble !== undefined)
      return { state, trouble, changed: false };
    const changed = text !== this.#counting?.text;
    this.#counting = { text, config: state.config };
    return { state, trouble, changed };
  }

  #troubleOf(state: ConfigState, held: HeldSubnet | undefined): string | undefined {
    const key = this.#key;
    if (state.kind === 'missing')
      return this.#counting && `etcd key ${key} is gone: everything stays as it is`;
    if (state.kind === 'invalid')
      return `the network config in etcd key ${key} is wrong: ${state.reason}`;
    if (held !== undefined && !fits(state.config, held))
      return `the network config in etcd key ${key} no longer contains our subnet ${subnetsText(held.name)}: everything stays as it is until a restart`;
    return undefined;
  }
}

function stateOf(text: string | undefined): ConfigState {
  if (text === undefined) return { kind: 'missing' };
  const result = parseNetworkConfig(text);
  return result.kind === 'valid'
    ? { kind: 'valid', config: result.config }
    : { kind: 'invalid', reason: result.reason };
}
