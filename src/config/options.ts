/**
 * What the agent was asked to do, from flags, FLANNELD_* variables and defaults (in this order),
 * every value checked: one RangeError names the place, the value and the rule.
 */
import { type Address, type Family, isUnicast, parseAddress } from '../ip/index.ts';
import { environmentName, FLAGS, type Flag } from './flags.ts';

export interface AgentOptions {
  readonly etcdEndpoints: readonly string[];
  /** Without a slash at its end. */
  readonly etcdPrefix: string;
  readonly etcdKeyfile: string | undefined;
  readonly etcdCertfile: string | undefined;
  readonly etcdCafile: string | undefined;
  readonly etcdUsername: string | undefined;
  readonly etcdPassword: string | undefined;
  readonly iface: readonly string[];
  readonly ifaceRegex: readonly string[];
  readonly ifaceCanReach: Address | undefined;
  readonly publicIp: Address | undefined;
  readonly publicIpv6: Address | undefined;
  readonly subnetFile: string;
  readonly renewMarginMs: number;
  readonly leaseTtlSeconds: number;
  readonly lostSubnet: 'wait' | 'replace';
  readonly forwardRules: boolean;
  /** On a clean stop. */
  readonly removeForwardRules: boolean;
  readonly firewallCheckMs: number;
  readonly healthzIp: string;
  /** 0: no health server. */
  readonly healthzPort: number;
  readonly routeDriver: 'auto' | 'native' | 'ip';
  readonly neighbours: 'auto' | 'on' | 'off';
  readonly routeProtocol: number;
  readonly routeMetrics: 'auto' | '0' | 'spread';
  /** Its number, or the name of the VRF device that has it. */
  readonly routeTable: number | string;
  /** At most one in each family. */
  readonly routeSources: readonly Address[];
  readonly dryRun: boolean;
  /** How long a dry run waits. */
  readonly timeoutMs: number;
  readonly stateDir: string;
  readonly sweepHoldMs: number;
  readonly logFormat: 'text' | 'json';
  readonly verbosity: number;
}

/** The flags given on the command line: name without dashes to its words, in order. */
export type GivenFlags = ReadonlyMap<string, readonly string[]>;

const GO_TRUE = new Set(['1', 't', 'T', 'true', 'TRUE', 'True']);
const GO_FALSE = new Set(['0', 'f', 'F', 'false', 'FALSE', 'False']);

/** Throws RangeError with one sentence for the first value that breaks its rule. */
export function agentOptions(given: GivenFlags, env: NodeJS.ProcessEnv): AgentOptions {
  const values = new Map(FLAGS.map((flag) => [flag.name, chosen(flag, given, env)]));
  for (const flag of FLAGS) validate(flag, chosenOf(values, flag.name));
  const text = (name: string): string | undefined =>
    chosenOf(values, name).words.at(-1) || undefined;
  const needed = (name: string): string => text(name) ?? '';
  const list = (name: string): string[] =>
    chosenOf(values, name).words.filter((word) => word !== '');
  const number = (name: string): number => Number(needed(name));
  const address = (name: string, family?: Family): Address | undefined =>
    addressOf(chosenOf(values, name), family);
  const options: AgentOptions = {
    etcdEndpoints: commaSeparated(needed('etcd-endpoints')),
    etcdPrefix: prefixKey(chosenOf(values, 'etcd-prefix')),
    etcdKeyfile: text('etcd-keyfile'),
    etcdCertfile: text('etcd-certfile'),
    etcdCafile: text('etcd-cafile'),
    etcdUsername: text('etcd-username'),
    etcdPassword: text('etcd-password'),
    iface: list('iface'),
    ifaceRegex: list('iface-regex'),
    ifaceCanReach: address('iface-can-reach'),
    publicIp: address('public-ip', 4),
    publicIpv6: address('public-ipv6', 6),
    subnetFile: needed('subnet-file'),
    ...leaseTimes(chosenOf(values, 'subnet-lease-ttl'), chosenOf(values, MARGIN)),
    lostSubnet: needed('lost-subnet') as AgentOptions['lostSubnet'],
    forwardRules: GO_TRUE.has(needed('iptables-forward-rules')),
    removeForwardRules: GO_TRUE.has(needed('remove-forward-rules')),
    firewallCheckMs: number('iptables-resync') * 1000,
    healthzIp: anyAddress(chosenOf(values, 'healthz-ip')),
    healthzPort: number('healthz-port'),
    routeDriver: needed('route-driver') as AgentOptions['routeDriver'],
    neighbours: needed('neighbours') as AgentOptions['neighbours'],
    routeProtocol: number('route-protocol'),
    routeMetrics: needed('route-metrics') as AgentOptions['routeMetrics'],
    routeTable: tableOf(chosenOf(values, 'route-table')),
    routeSources: sourcesOf(chosenOf(values, 'route-src')),
    dryRun: GO_TRUE.has(needed('dry-run')),
    timeoutMs: number('timeout') * 1000,
    stateDir: needed('state-dir'),
    sweepHoldMs: number('sweep-hold') * 1000,
    logFormat: needed('log-format') as AgentOptions['logFormat'],
    verbosity: number('v'),
  };
  checkTogether(options);
  return options;
}

interface Chosen {
  readonly words: readonly string[];
  /** Where the words came from, for messages: `--iface` or `FLANNELD_IFACE`. */
  readonly place: string;
  /** Nobody gave them. */
  readonly preset?: true;
}

function chosen(flag: Flag, given: GivenFlags, env: NodeJS.ProcessEnv): Chosen {
  const typed = given.get(flag.name);
  if (typed !== undefined) return { words: typed, place: `--${flag.name}` };
  const name = environmentName(flag);
  const value = env[name];
  // flannel takes an empty variable as unset.
  if (value !== undefined && value !== '') return { words: [value], place: name };
  const words = flag.default === undefined ? [] : [flag.default];
  return { words, place: `--${flag.name}`, preset: true };
}

function chosenOf(values: ReadonlyMap<string, Chosen>, name: string): Chosen {
  const value = values.get(name);
  if (value === undefined) throw new Error(`no flag is named ${name}`);
  return value;
}

function validate(flag: Flag, { words, place }: Chosen): void {
  for (const word of words) {
    const shown = flag.secret ? 'its value' : JSON.stringify(word);
    if (flag.kind === 'bool' && !GO_TRUE.has(word) && !GO_FALSE.has(word)) {
      throw new RangeError(`${place} is ${shown}: it must be true or false`);
    }
    if (flag.kind === 'number' || flag.kind === 'seconds') validateNumber(flag, word, place);
    if (flag.kind === 'duration') validateDuration(flag, word, place);
    if (flag.choices !== undefined && !flag.choices.includes(word)) {
      throw new RangeError(`${place} is ${shown}: it must be one of ${flag.choices.join(', ')}`);
    }
    const wanted = flag.kind === 'bool' ? !GO_FALSE.has(word) : word !== '';
    if (flag.refused !== undefined && wanted) {
      throw new RangeError(`${place}=${word} is refused: ${flag.refused}`);
    }
  }
}

function validateNumber(flag: Flag, word: string, place: string): void {
  const [low, high] = flag.range ?? [0, Number.MAX_SAFE_INTEGER];
  const number = /^\d+$/.test(word) ? Number(word) : Number.NaN;
  if (!(number >= low && number <= high)) {
    throw new RangeError(
      `${place} is ${JSON.stringify(word)}: it must be a whole number from ${low} to ${high}`,
    );
  }
}

const UNITS = new Map([
  ['h', 3600],
  ['m', 60],
  ['s', 1],
]);

/** Seconds, as a number or in Go's way of writing time; NaN for anything else. */
function secondsOf(word: string): number {
  if (/^\d+$/.test(word)) return Number(word);
  if (!/^(\d+(\.\d+)?[hms])+$/.test(word)) return Number.NaN;
  let seconds = 0;
  for (const [, count, unit = ''] of word.matchAll(/([\d.]+)([hms])/g))
    seconds += Number(count) * (UNITS.get(unit) ?? Number.NaN);
  return seconds;
}

function validateDuration(flag: Flag, word: string, place: string): void {
  const [low, high] = flag.range ?? [0, Number.MAX_SAFE_INTEGER];
  const seconds = secondsOf(word);
  if (!(seconds >= low && seconds <= high))
    throw new RangeError(
      `${place} is ${JSON.stringify(word)}: it must be a time from ${low} to ${high} seconds, such as 86400 or 24h`,
    );
}

const MARGIN = 'subnet-lease-renew-margin';

/** A margin that was asked for must leave time before it; flannel's preset is of use to leases that live longer only. */
function leaseTimes(
  ttl: Chosen,
  margin: Chosen,
): Pick<AgentOptions, 'leaseTtlSeconds' | 'renewMarginMs'> {
  // etcd counts in whole seconds.
  const leaseTtlSeconds = Math.ceil(secondsOf(ttl.words.at(-1) ?? ''));
  const minutes = Number(margin.words.at(-1));
  const leaves = minutes * 60 < leaseTtlSeconds;
  if (!leaves && !margin.preset)
    throw new RangeError(
      `${margin.place} is ${minutes} minutes, but ${ttl.place} is ${ttl.words.at(-1)}: the margin must be shorter than the lease lives`,
    );
  return { leaseTtlSeconds, renewMarginMs: leaves ? minutes * 60_000 : 0 };
}

function commaSeparated(word: string): string[] {
  return word
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

function addressOf({ words, place }: Chosen, family?: Family): Address | undefined {
  const word = words.at(-1);
  if (word === undefined || word === '') return undefined;
  const address = parseAddress(word);
  if (address === undefined || address.family !== (family ?? address.family)) {
    throw new RangeError(
      `${place} is ${JSON.stringify(word)}: it must be an IP${family === undefined ? '' : `v${family}`} address`,
    );
  }
  return address;
}

const TABLE_MAIN = 254;
const TABLE_MAX = 2 ** 32 - 1;

function tableOf({ words, place }: Chosen): number | string {
  const word = words.at(-1) || 'main';
  if (word === 'main') return TABLE_MAIN;
  const number = /^\d+$/.test(word) ? Number(word) : undefined;
  // The kernel takes such names for devices (dev_valid_name), IFNAMSIZ with its end.
  const isName = number === undefined && /^[^\s/:]{1,15}$/.test(word);
  if (isName) return word;
  if (number !== undefined && number >= 1 && number <= TABLE_MAX) return number;
  throw new RangeError(
    `${place} is ${JSON.stringify(word)}: it must be a number from 1 to ${TABLE_MAX}, or the name of a VRF device`,
  );
}

function sourcesOf({ words, place }: Chosen): readonly Address[] {
  const sources = new Map<number, Address>();
  for (const word of words.flatMap(commaSeparated)) {
    const address = parseAddress(word);
    if (address === undefined || !isUnicast(address))
      throw new RangeError(`${place} is ${JSON.stringify(word)}: it must be an address of a host`);
    if (sources.has(address.family))
      throw new RangeError(`${place} names two IPv${address.family} addresses: it must be one`);
    sources.set(address.family, address);
  }
  return [...sources.values()];
}

function anyAddress({ words, place }: Chosen): string {
  const word = words.at(-1) ?? '';
  if (parseAddress(word) === undefined)
    throw new RangeError(`${place} is ${JSON.stringify(word)}: it must be an IP address`);
  return word;
}

function prefixKey({ words, place }: Chosen): string {
  const key = (words.at(-1) ?? '').replace(/\/+$/, '');
  if (!key.startsWith('/')) {
    throw new RangeError(
      `${place} is ${JSON.stringify(words.at(-1) ?? '')}: it must be an etcd key such as /coreos.com/network`,
    );
  }
  return key;
}

function checkTogether(options: AgentOptions): void {
  if (options.etcdEndpoints.length === 0)
    throw new RangeError('--etcd-endpoints is empty: it must name at least one URL');
  if ((options.etcdCertfile === undefined) !== (options.etcdKeyfile === undefined)) {
    throw new RangeError('--etcd-certfile and --etcd-keyfile belong together: give both or none');
  }
  if (options.etcdPassword !== undefined && options.etcdUsername === undefined) {
    throw new RangeError('--etcd-password is given without --etcd-username');
  }
  for (const regex of options.ifaceRegex) {
    try {
      new RegExp(regex);
    } catch {
      throw new RangeError(
        `--iface-regex is ${JSON.stringify(regex)}: it must be a regular expression`,
      );
    }
  }
}
