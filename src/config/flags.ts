/**
 * Every flag of the agent in one table: flannel's own, glog's leftovers, and hostgw's. The command line,
 * the FLANNELD_* environment, `--help` and the completion are all made from it.
 */

export interface Flag {
  /** Without dashes, e.g. `etcd-endpoints`. */
  readonly name: string;
  /** `duration`: seconds, or Go's way of writing time, e.g. `24h` or `1h30m`. */
  readonly kind: 'string' | 'list' | 'bool' | 'number' | 'seconds' | 'duration';
  readonly help: string;
  /** As text, in the form the flag itself takes. */
  readonly default: string | undefined;
  /** What the value stands for in `--help`. */
  readonly value?: string;
  /** Lowest and highest number that is taken; of a duration, in seconds. */
  readonly range?: readonly [number, number];
  readonly choices?: readonly string[];
  /** Never printed with its value. */
  readonly secret?: true;
  /** Taken and without effect; not shown in `--help`. */
  readonly leftover?: true;
  /** Why any value but the default is refused: what it asks for is not built. */
  readonly refused?: string;
}

const NOT_YET = 'this version of hostgw does not do that';

const string = (name: string, value: string, help: string, preset?: string): Flag => ({
  name,
  kind: 'string',
  value,
  help,
  default: preset,
});
const bool = (name: string, preset: boolean, help: string): Flag => ({
  name,
  kind: 'bool',
  help,
  default: String(preset),
});
const leftover = (name: string, kind: 'string' | 'bool'): Flag => ({
  name,
  kind,
  help: '',
  default: undefined,
  leftover: true,
});

export const FLAGS: readonly Flag[] = [
  string(
    'etcd-endpoints',
    'URL,...',
    'etcd members, comma-separated',
    'http://127.0.0.1:4001,http://127.0.0.1:2379',
  ),
  string('etcd-prefix', 'KEY', 'where the network lives in etcd', '/coreos.com/network'),
  string('etcd-keyfile', 'FILE', 'private key of the client certificate'),
  string('etcd-certfile', 'FILE', 'client certificate'),
  string('etcd-cafile', 'FILE', 'certificate authority of the etcd members'),
  string('etcd-username', 'NAME', 'user for etcd'),
  {
    ...string('etcd-password', 'TEXT', 'password for etcd (better: FLANNELD_ETCD_PASSWORD)'),
    secret: true,
  },
  {
    name: 'iface',
    kind: 'list',
    value: 'NAME|ADDRESS',
    help: 'uplink to the other hosts; may be repeated, the first that exists is taken',
    default: '',
  },
  {
    name: 'iface-regex',
    kind: 'list',
    value: 'REGEX',
    help: 'the same by a regular expression on name or address; may be repeated',
    default: '',
  },
  string('iface-can-reach', 'ADDRESS', 'the same by the route to an address'),
  string(
    'public-ip',
    'ADDRESS',
    'address that the other hosts route to, if not that of the uplink',
  ),
  string('public-ipv6', 'ADDRESS', 'the same for IPv6'),
  string('subnet-file', 'FILE', 'where Docker reads the subnet', '/run/flannel/subnet.env'),
  {
    name: 'subnet-lease-renew-margin',
    kind: 'number',
    value: 'MINUTES',
    help: 'renew the lease at the latest this long before it ends; shorter than --subnet-lease-ttl, and without the default where that is not',
    default: '60',
    range: [1, 1439],
  },
  {
    name: 'subnet-lease-ttl',
    kind: 'duration',
    value: 'TIME',
    help: 'how long etcd keeps our subnet after it last heard of us; seconds, or as 24h, 90m',
    default: '24h',
    range: [5, 31_536_000],
  },
  {
    name: 'lost-subnet',
    kind: 'string',
    value: 'wait|replace',
    help: 'when another host owns our subnet in etcd: wait until that ends, or take another one at once, for which Docker must be restarted',
    default: 'wait',
    choices: ['wait', 'replace'],
  },
  {
    ...bool('ip-masq', false, 'masquerade traffic from containers to outside the network'),
    refused: NOT_YET,
  },
  {
    ...bool('ip-masq-fully-random-disable', false, 'masquerade without random source ports'),
    refused: NOT_YET,
  },
  bool('iptables-forward-rules', true, "let peers' traffic pass Docker's firewall rules"),
  bool('remove-forward-rules', false, 'take our firewall rules away when stopped; else they stay'),
  {
    name: 'iptables-resync',
    kind: 'seconds',
    value: 'SECONDS',
    help: 'how often the firewall rules are checked at most, and as often where their changes are not heard',
    default: '5',
    range: [1, 86_400],
  },
  {
    ...bool('ip-blackhole-route', false, 'a blackhole route for the rest of the own subnet'),
    refused: NOT_YET,
  },
  string('healthz-ip', 'ADDRESS', 'address of the health server', '0.0.0.0'),
  {
    name: 'healthz-port',
    kind: 'number',
    value: 'PORT',
    help: 'port of /healthz and /readyz; 0: none',
    default: '0',
    range: [0, 65_535],
  },
  {
    name: 'route-driver',
    kind: 'string',
    value: 'auto|native|ip',
    help: 'how routes reach the kernel; auto: native where it was built, else ip',
    default: 'auto',
    choices: ['auto', 'native', 'ip'],
  },
  {
    name: 'neighbours',
    kind: 'string',
    value: 'auto|on|off',
    help: "keep the gateways' neighbour entries beyond the kernel's limit; auto: where they are many for it",
    default: 'auto',
    choices: ['auto', 'on', 'off'],
  },
  {
    name: 'route-protocol',
    kind: 'number',
    value: 'NUMBER',
    help: "protocol number that marks our routes, and nobody else's; after a change flush those of the old one",
    default: '104',
    range: [5, 255],
  },
  {
    name: 'route-metrics',
    kind: 'string',
    value: 'auto|0|spread',
    help: 'metric of IPv4 routes: 0, or one for each gateway, which is faster where they are many; auto: from 500 gateways on',
    default: 'auto',
    choices: ['auto', '0', 'spread'],
  },
  string(
    'route-table',
    'NUMBER|VRF',
    'routing table of our routes, or the VRF device that has it (read at the start: restart if the VRF is made anew)',
    'main',
  ),
  {
    name: 'route-src',
    kind: 'list',
    value: 'ADDRESS',
    help: "address of this host that it uses itself towards peers' subnets; one in each family",
    default: '',
  },
  bool('dry-run', false, 'print what would change, change nothing, and end: as hostgw plan'),
  {
    name: 'timeout',
    kind: 'seconds',
    value: 'SECONDS',
    help: 'how long --dry-run waits for etcd and this host',
    default: '10',
    range: [1, 3600],
  },
  string('state-dir', 'DIR', 'own lease and last view of all leases', '/var/lib/hostgw'),
  {
    name: 'sweep-hold',
    kind: 'seconds',
    value: 'SECONDS',
    help: 'how long to hold when most peers vanish at once, before their routes go',
    default: '600',
    range: [0, 31_536_000],
  },
  {
    name: 'log-format',
    kind: 'string',
    value: 'text|json',
    help: 'form of the log lines',
    default: 'text',
    choices: ['text', 'json'],
  },
  {
    name: 'v',
    kind: 'number',
    value: 'LEVEL',
    help: 'log level: 0 what happened, 1 and above also why',
    default: '0',
    range: [0, 100],
  },
  leftover('logtostderr', 'bool'),
  leftover('alsologtostderr', 'bool'),
  leftover('log_dir', 'string'),
  leftover('log_file', 'string'),
  leftover('log_file_max_size', 'string'),
  leftover('log_backtrace_at', 'string'),
  leftover('add_dir_header', 'bool'),
  leftover('one_output', 'bool'),
  leftover('skip_headers', 'bool'),
  leftover('skip_log_headers', 'bool'),
  leftover('stderrthreshold', 'string'),
  leftover('vmodule', 'string'),
];

/** The environment variable of a flag, as flannel names it: `FLANNELD_ETCD_ENDPOINTS`. */
export function environmentName(flag: Flag): string {
  return `FLANNELD_${flag.name.toUpperCase().replaceAll('-', '_')}`;
}

/**
 * Rewrites Go's spelling into what the command-line library takes: `-long=x` to `--long=x`, a bare bool to
 * `--bool=true` (Go's bools never eat the next word), a value in the next word to `--flag=value` (Go takes it
 * whatever it looks like). Words it does not know pass through with two dashes, to be refused by name.
 */
export function fromGoSpelling(args: readonly string[]): string[] {
  const kinds = new Map(FLAGS.map((flag) => [flag.name, flag.kind]));
  const out: string[] = [];
  for (let i = 0; i < args.length; i += 1) {
    const arg = args[i] ?? '';
    if (arg === '--') return [...out, ...args.slice(i)];
    const match = /^--?([^-=][^=]*)(=.*)?$/s.exec(arg);
    const name = match?.[1];
    if (name === undefined) {
      out.push(arg);
      continue;
    }
    const kind = kinds.get(name);
    const value = match?.[2];
    const next = args[i + 1];
    // Without its value, so that the library finds the nearest name, and shows no secret.
    if (kind === undefined) out.push(name.length === 1 ? arg : `--${name}`);
    else if (value !== undefined) out.push(`--${name}${value}`);
    else if (kind === 'bool') out.push(`--${name}=true`);
    else if (next === undefined) out.push(`--${name}`);
    else {
      out.push(`--${name}=${next}`);
      i += 1;
    }
  }
  return out;
}
