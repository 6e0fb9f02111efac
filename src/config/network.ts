/** The network config that the cluster keeps in etcd, as flannel defines it: checked once, then plain values. */
import * as v from 'valibot';
import {
  type Address,
  addressAt,
  containsAddress,
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

/** At least one of the two families is present. */
export interface NetworkConfig {
  readonly v4: SubnetRange | undefined;
  readonly v6: SubnetRange | undefined;
}

export type NetworkConfigResult =
  | { readonly kind: 'valid'; readonly config: NetworkConfig }
  /** `reason` names the field, its value and the rule, in one sentence. */
  | { readonly kind: 'invalid'; readonly reason: string };

const FIELDS = [
  'Network',
  'SubnetLen',
  'SubnetMin',
  'SubnetMax',
  'EnableIPv4',
  'EnableIPv6',
  'IPv6Network',
  'IPv6SubnetLen',
  'IPv6SubnetMin',
  'IPv6SubnetMax',
  'EnableNFTables',
  'Backend',
] as const;

const text = v.string('must be a string');
const flag = v.boolean('must be true or false');
const length = v.pipe(v.number('must be a number'), v.integer('must be a whole number'));
const address = v.pipe(
  text,
  v.check((value) => parseAddress(value)?.family === 4, 'must be an IPv4 address'),
);
const network = v.pipe(
  text,
  v.check(
    (value) => parseInterfaceAddress(value)?.address.family === 4,
    'must be an IPv4 network such as 10.100.0.0/16',
  ),
);

// IPv6 fields are read for their type only: EnableIPv6 itself is refused below.
const schema = v.object({
  Network: v.optional(network),
  SubnetLen: v.optional(length, 0),
  SubnetMin: v.optional(address),
  SubnetMax: v.optional(address),
  EnableIPv4: v.optional(flag, true),
  EnableIPv6: v.optional(flag, false),
  IPv6Network: v.optional(text),
  IPv6SubnetLen: v.optional(length),
  IPv6SubnetMin: v.optional(text),
  IPv6SubnetMax: v.optional(text),
  EnableNFTables: v.optional(flag, false),
  Backend: v.optional(v.looseObject({ Type: v.optional(text) }, 'must be an object'), {}),
});

class RuleBroken extends Error {}

/**
 * Reads the value of the config key by flannel's rules and defaults (pkg/subnet/config.go): keys in any case,
 * unknown keys ignored, `SubnetLen` 24 or Network + 2, the first subnet skipped. Never throws.
 */
export function parseNetworkConfig(json: string): NetworkConfigResult {
  try {
    return { kind: 'valid', config: check(readFields(json)) };
  } catch (error) {
    if (error instanceof RuleBroken) return { kind: 'invalid', reason: error.message };
    throw error;
  }
}

function readFields(json: string): v.InferOutput<typeof schema> {
  let raw: unknown;
  try {
    raw = JSON.parse(json);
  } catch (error) {
    throw new RuleBroken(
      `it is not JSON (${error instanceof Error ? error.message : 'unreadable'})`,
    );
  }
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) {
    throw new RuleBroken('it is not a JSON object');
  }
  const result = v.safeParse(schema, withGoNames(raw));
  if (result.success) return result.output;
  const [issue] = result.issues;
  const path = issue.path?.map((item) => String(item.key)).join('.') ?? 'config';
  throw new RuleBroken(`${path} is ${shown(issue.input)}: it ${issue.message}`);
}

/** encoding/json matches keys without regard to case, the last one wins, and null leaves a field unset. */
function withGoNames(raw: object): Record<string, unknown> {
  const names = new Map(FIELDS.map((name) => [name.toLowerCase(), name as string]));
  const fields: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(raw)) {
    const name = names.get(key.toLowerCase());
    if (name === undefined || value === null) continue;
    fields[name] = name === 'Backend' ? withTypeName(value) : value;
  }
  return fields;
}

function withTypeName(backend: unknown): unknown {
  if (typeof backend !== 'object' || backend === null || Array.isArray(backend)) return backend;
  const entry = Object.entries(backend).findLast(([key]) => key.toLowerCase() === 'type');
  return entry === undefined ? {} : { Type: entry[1] };
}

function check(fields: v.InferOutput<typeof schema>): NetworkConfig {
  const type = fields.Backend.Type ?? '';
  if (type === '') {
    throw new RuleBroken('Backend.Type is not set, which means udp: it must be "host-gw"');
  }
  if (type.toLowerCase() !== 'host-gw') {
    throw new RuleBroken(
      `Backend.Type is ${shown(type)}: it must be "host-gw", the only backend of hostgw`,
    );
  }
  if (fields.EnableIPv6) {
    throw new RuleBroken(
      'EnableIPv6 is true: this version of hostgw routes IPv4 only, it must be false',
    );
  }
  if (!fields.EnableIPv4) throw new RuleBroken('EnableIPv4 is false: it must be true');
  if (fields.Network === undefined)
    throw new RuleBroken('Network is not set: it must be an IPv4 network such as 10.100.0.0/16');
  const parsed = parseInterfaceAddress(fields.Network);
  if (parsed === undefined)
    throw new RuleBroken(`Network is ${shown(fields.Network)}: it must be an IPv4 network`);
  return { v4: rangeOf(parsed.prefix, fields), v6: undefined };
}

function rangeOf(
  net: Prefix,
  fields: { SubnetLen: number; SubnetMin?: string | undefined; SubnetMax?: string | undefined },
): SubnetRange {
  const subnetLength = subnetLengthOf(net, fields.SubnetLen);
  const size = 2 ** (32 - subnetLength);
  const min = boundary('SubnetMin', fields.SubnetMin, net, subnetLength) ?? addressAt(net, size);
  const last = prefixOf(lastAddress(net), subnetLength).address;
  const max = boundary('SubnetMax', fields.SubnetMax, net, subnetLength) ?? last;
  if (min.value > max.value) {
    throw new RuleBroken(
      `SubnetMin is ${min.text}: it must not be after SubnetMax, which is ${max.text}`,
    );
  }
  return { network: net, subnetLength, min, max };
}

function subnetLengthOf(net: Prefix, given: number): number {
  if (given === 0) {
    if (net.length > 28) {
      throw new RuleBroken(`Network is ${net.text}: it is too small, the smallest is a /28`);
    }
    return net.length <= 22 ? 24 : net.length + 2;
  }
  if (given < 0 || given > 30) throw new RuleBroken(`SubnetLen is ${given}: it must be at most 30`);
  if (given < net.length + 2) {
    throw new RuleBroken(
      `SubnetLen is ${given}: Network ${net.text} must hold at least four subnets, so it must be at least ${net.length + 2}`,
    );
  }
  return given;
}

function boundary(
  field: string,
  value: string | undefined,
  net: Prefix,
  subnetLength: number,
): Address | undefined {
  // Go's zero value, 0.0.0.0, means unset.
  if (value === undefined || value === '0.0.0.0') return undefined;
  const at = parseAddress(value);
  if (at === undefined || !containsAddress(net, at)) {
    throw new RuleBroken(`${field} is ${shown(value)}: it must lie inside Network ${net.text}`);
  }
  const aligned = prefixOf(at, subnetLength).address;
  if (aligned.text !== at.text) {
    throw new RuleBroken(
      `${field} is ${at.text}: it must be on a SubnetLen boundary, such as ${aligned.text} for /${subnetLength}`,
    );
  }
  return at;
}

function shown(value: unknown): string {
  const json = JSON.stringify(value) ?? 'missing';
  return json.length > 80 ? `${json.slice(0, 77)}...` : json;
}
