/** Where subnets of one family come from, by flannel's rules and defaults (pkg/subnet/config.go), the same for both. */
import {
  type Address,
  addressAt,
  bitsOf,
  containsAddress,
  type Family,
  familyOf,
  lastAddress,
  type Prefix,
  parseAddress,
  parseInterfaceAddress,
  prefixOf,
} from '../ip/index.ts';

/** Where subnets of one family come from. */
export interface SubnetRange {
  readonly network: Prefix;
  /** Length of every host's subnet. */
  readonly subnetLength: number;
  /** Address of the first subnet that may be leased. */
  readonly min: Address;
  /** Address of the last subnet that may be leased. */
  readonly max: Address;
}

/** The fields of one family, without the `IPv6` before their names. */
export interface RangeFields {
  readonly Network: string | undefined;
  readonly SubnetLen: number;
  readonly SubnetMin: string | undefined;
  readonly SubnetMax: string | undefined;
}

/** Its message names the field, its value and the rule, in one sentence. */
export class RuleBroken extends Error {}

/** A value for a sentence. */
export function shown(value: unknown): string {
  const json = JSON.stringify(value) ?? 'missing';
  return json.length > 80 ? `${json.slice(0, 77)}...` : json;
}

interface Rules {
  /** Before the names of the fields. */
  readonly prefix: '' | 'IPv6';
  readonly example: string;
  /** Subnets have this length where the network is large enough for four. */
  readonly preset: number;
  /** A bridge and a container need two addresses besides the first and the last. */
  readonly longest: number;
  /** Go's zero value, which means unset. */
  readonly unset: string;
}

const RULES: Readonly<Record<Family, Rules>> = {
  4: { prefix: '', example: '10.100.0.0/16', preset: 24, longest: 30, unset: '0.0.0.0' },
  6: { prefix: 'IPv6', example: 'fd00:100::/48', preset: 64, longest: 126, unset: '::' },
};

/** Throws RuleBroken. */
export function subnetRange(family: Family, fields: RangeFields): SubnetRange {
  const { prefix } = RULES[family];
  const network = networkOf(family, fields.Network);
  const subnetLength = subnetLengthOf(family, network, fields.SubnetLen);
  const size = 1n << BigInt(bitsOf(family) - subnetLength);
  const within = { family, network, subnetLength };
  // The first subnet is skipped: its first address is the network's own.
  const min = boundary(within, 'SubnetMin', fields.SubnetMin) ?? addressAt(network, size);
  const last = prefixOf(lastAddress(network), subnetLength).address;
  const max = boundary(within, 'SubnetMax', fields.SubnetMax) ?? last;
  if (min.value > max.value) {
    throw new RuleBroken(
      `${prefix}SubnetMin is ${min.text}: it must not be after ${prefix}SubnetMax, which is ${max.text}`,
    );
  }
  return { network, subnetLength, min, max };
}

function networkOf(family: Family, text: string | undefined): Prefix {
  const { prefix, example } = RULES[family];
  const rule = `it must be an IPv${family} network such as ${example}`;
  if (text === undefined) throw new RuleBroken(`${prefix}Network is not set: ${rule}`);
  const network = parseInterfaceAddress(text)?.prefix;
  // Go takes 0.0.0.0/0 and ::/0 for unset, and no network holds every address there is.
  if (network === undefined || familyOf(network) !== family || network.length === 0)
    throw new RuleBroken(`${prefix}Network is ${shown(text)}: ${rule}`);
  return network;
}

function subnetLengthOf(family: Family, network: Prefix, given: number): number {
  const { prefix, preset, longest } = RULES[family];
  if (given === 0) {
    if (network.length > longest - 2) {
      throw new RuleBroken(
        `${prefix}Network is ${network.text}: it is too small, the smallest is a /${longest - 2}`,
      );
    }
    return network.length <= preset - 2 ? preset : network.length + 2;
  }
  if (given < 0 || given > longest) {
    throw new RuleBroken(`${prefix}SubnetLen is ${given}: it must be at most ${longest}`);
  }
  if (given < network.length + 2) {
    throw new RuleBroken(
      `${prefix}SubnetLen is ${given}: ${prefix}Network ${network.text} must hold at least four subnets, so it must be at least ${network.length + 2}`,
    );
  }
  return given;
}

function boundary(
  within: { readonly family: Family; readonly network: Prefix; readonly subnetLength: number },
  field: 'SubnetMin' | 'SubnetMax',
  value: string | undefined,
): Address | undefined {
  const { network, subnetLength } = within;
  const { prefix, unset } = RULES[within.family];
  const at = value === undefined ? undefined : parseAddress(value);
  if (value === undefined || at?.text === unset) return undefined;
  if (at === undefined || !containsAddress(network, at)) {
    throw new RuleBroken(
      `${prefix}${field} is ${shown(value)}: it must lie inside ${prefix}Network ${network.text}`,
    );
  }
  const aligned = prefixOf(at, subnetLength).address;
  if (aligned.text !== at.text) {
    throw new RuleBroken(
      `${prefix}${field} is ${at.text}: it must be on a ${prefix}SubnetLen boundary, such as ${aligned.text} for /${subnetLength}`,
    );
  }
  return at;
}
