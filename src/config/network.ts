/** The network config that the cluster keeps in etcd, as flannel defines it: checked once, then plain values. */
import * as v from 'valibot';
import { parseAddress, parseInterfaceAddress } from '../ip/index.ts';
import { RuleBroken, type SubnetRange, shown, subnetRange } from './subnetRange.ts';

export type { SubnetRange } from './subnetRange.ts';

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

// The IPv6 fields are looked at only where EnableIPv6 is true: then by subnetRange.
const schema = v.object({
  Network: v.optional(network),
  SubnetLen: v.optional(length, 0),
  SubnetMin: v.optional(address),
  SubnetMax: v.optional(address),
  EnableIPv4: v.optional(flag, true),
  EnableIPv6: v.optional(flag, false),
  IPv6Network: v.optional(text),
  IPv6SubnetLen: v.optional(length, 0),
  IPv6SubnetMin: v.optional(text),
  IPv6SubnetMax: v.optional(text),
  EnableNFTables: v.optional(flag, false),
  Backend: v.optional(v.looseObject({ Type: v.optional(text) }, 'must be an object'), {}),
});

/**
 * Reads the value of the config key by flannel's rules and defaults (pkg/subnet/config.go): keys in any case,
 * unknown keys ignored, IPv4 unless EnableIPv4 is false, IPv6 where EnableIPv6 is true. Never throws.
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
  const { EnableIPv4, EnableIPv6, Network, SubnetLen, SubnetMin, SubnetMax } = fields;
  if (!EnableIPv4 && !EnableIPv6)
    throw new RuleBroken('EnableIPv4 and EnableIPv6 are false: one of them must be true');
  return {
    v4: EnableIPv4 ? subnetRange(4, { Network, SubnetLen, SubnetMin, SubnetMax }) : undefined,
    v6: EnableIPv6
      ? subnetRange(6, {
          Network: fields.IPv6Network,
          SubnetLen: fields.IPv6SubnetLen,
          SubnetMin: fields.IPv6SubnetMin,
          SubnetMax: fields.IPv6SubnetMax,
        })
      : undefined,
  };
}
