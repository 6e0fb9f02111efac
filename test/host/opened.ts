/** Forward rules on a host of a `World`, and what has to be true of it. */
import assert from 'node:assert/strict';
import { type Clock, type Log, systemClock } from '../../src/core/index.ts';
import { ForwardRules, type ForwardWanted } from '../../src/host/index.ts';
import { type Address, type Prefix, parseAddress, parsePrefix } from '../../src/ip/index.ts';
import { needs } from '../support/needs.ts';
import {
  CONTAINER,
  HOST,
  type Namespace,
  PEER_CONTAINER,
  PEER_HOST,
  STRANGER,
  type World,
} from './world.ts';

export const skip = needs(
  'root',
  'ip',
  'unshare',
  'nsenter',
  'setpriv',
  'nft',
  'iptables-nft',
  'iptables-legacy',
  'busybox',
);
export const prefix = (text: string): Prefix => parsePrefix(text) ?? assert.fail(text);
export const address = (text: string): Address => parseAddress(text) ?? assert.fail(text);
export const wanted: ForwardWanted = {
  uplink: 'eth0',
  v4: { network: prefix('10.100.0.0/16'), subnet: prefix('10.100.1.0/24') },
  v6: undefined,
  gateways: [address(PEER_HOST)],
};
/** Refused connections take a second each. */
export const slow = { timeout: 180_000 };
export const never = new AbortController().signal;

export class Lines implements Log {
  readonly lines: string[] = [];
  debug = (sentence: string): void => void this.lines.push(`debug ${sentence}`);
  info = (sentence: string): void => void this.lines.push(`info ${sentence}`);
  warn = (sentence: string): void => void this.lines.push(`warn ${sentence}`);
  error = (sentence: string): void => void this.lines.push(`error ${sentence}`);
}

/** `iptables`: which of the two the host's plain `iptables` is; `without`: a program that it lacks. */
export function rulesOn(
  host: Namespace,
  {
    iptables = 'iptables-nft',
    without = [] as readonly string[],
    log = new Lines() as Log,
    clock = systemClock as Clock,
    checkMs = 2000,
  } = {},
): ForwardRules {
  return new ForwardRules({
    log,
    clock,
    checkMs,
    legacyTables: host.legacyTables,
    run: (file, args, options) => {
      if (without.includes(file)) {
        return Promise.reject(Object.assign(new Error(`spawn ${file} ENOENT`), { code: 'ENOENT' }));
      }
      return host.run(file === 'iptables' ? iptables : file, args, options);
    },
  });
}

/** Everything netfilter in the namespace, without counters; tables sorted, as a new one is listed last. */
export async function state(host: Namespace): Promise<string> {
  const text = await host.sh(
    'nft list ruleset; for t in $(cat /proc/net/ip_tables_names || true); do iptables-legacy-save -t $t; done',
  );
  const plain = text.replaceAll(/(packets|bytes) \d+|\[\d+:\d+\]|^#.*$/gm, '');
  return plain
    .split(/^(?=table )/m)
    .sort()
    .join('');
}

export async function opened(world: World): Promise<void> {
  await world.sources(world.box);
  assert.deepEqual(
    {
      'container of a peer': await world.reaches(PEER_CONTAINER),
      'peer host': await world.reaches(PEER_HOST),
      stranger: await world.reaches(STRANGER),
      'stranger to a published port': await world.reaches(STRANGER, HOST, 8080),
    },
    {
      'container of a peer': true,
      'peer host': true,
      stranger: false,
      'stranger to a published port': true,
    },
  );
  assert.deepEqual(await world.sources(world.box), [PEER_HOST, STRANGER, PEER_CONTAINER].sort());
  await world.sources(world.lan);
  assert.equal(await world.containerReachesPeer(), true, 'a container reaches a peer');
  assert.deepEqual(await world.sources(world.lan), [CONTAINER], 'under its own address');
}
