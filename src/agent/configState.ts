/** The config key's text as a state: missing, wrong with its reason, or valid. */
import { parseNetworkConfig } from '../config/index.ts';
import type { ConfigState } from '../lease/index.ts';

export function configStateOf(text: string | undefined): ConfigState {
  if (text === undefined) return { kind: 'missing' };
  const result = parseNetworkConfig(text);
  return result.kind === 'valid'
    ? { kind: 'valid', config: result.config }
    : { kind: 'invalid', reason: result.reason };
}
