/** What a line of `ip -N -o monitor label` says has changed. A line that cannot be read counts as everything. */
import {
  containsPrefix,
  type Prefix,
  parseAddress,
  parsePrefix,
  prefixOf,
} from '../../ip/index.ts';
import { type DumpFilter, type Hint, PROTOCOL_BOOT, TABLE_MAIN } from '../types.ts';

export const EVERYTHING: Hint = { links: true, addresses: true, routes: true };
const NOTHING: Hint = { links: false, addresses: false, routes: false };

const ROUTE = '[ROUTE]';
const DELETED = 'Deleted ';

/** Merges the changes of several lines; undefined if none of them is the listener's. */
export function hintOfLines(lines: readonly string[], filter: DumpFilter): Hint | undefined {
  let hint = NOTHING;
  for (const line of lines) {
    // One route is as good as thousands, which is what a batch of our own brings.
    if (hint.routes && line.startsWith(ROUTE)) continue;
    hint = merged(hint, hintOf(line, filter));
  }
  return hint.links || hint.addresses || hint.routes ? hint : undefined;
}

function merged(a: Hint, b: Hint): Hint {
  return {
    links: a.links || b.links,
    addresses: a.addresses || b.addresses,
    routes: a.routes || b.routes,
  };
}

function hintOf(line: string, filter: DumpFilter): Hint {
  if (line === '') return NOTHING;
  if (line.startsWith('[LINK]')) return { ...NOTHING, links: true };
  if (line.startsWith('[ADDR]')) return { ...NOTHING, addresses: true };
  if (!line.startsWith(ROUTE)) return EVERYTHING;
  if (isElsewhere(line, filter)) return NOTHING;
  return { ...NOTHING, routes: concerns(line.slice(ROUTE.length), filter) };
}

const DOT = 46;
const SLASH = 47;
const ZERO = 48;
const PLAIN_OWNER = / proto \d/;

/**
 * Whether it is plain that a line is about somebody's IPv4 prefix outside `within`. Somebody who changes routes without
 * pause costs us this for each; whatever is not plain is read word by word.
 */
function isElsewhere(line: string, { protocol, within }: DumpFilter): boolean {
  if (protocol === PROTOCOL_BOOT || line.includes(` proto ${protocol}`)) return false;
  if (!PLAIN_OWNER.test(line) || line.includes(' table')) return false;
  let at = line.startsWith(DELETED, ROUTE.length) ? ROUTE.length + DELETED.length : ROUTE.length;
  let address = 0;
  let part = 0;
  for (let dots = 0; ; at += 1) {
    const code = line.charCodeAt(at);
    if (code >= ZERO && code <= ZERO + 9) part = part * 10 + code - ZERO;
    else if (part > 255) return false;
    else {
      address = address * 256 + part;
      part = 0;
      if (code === SLASH && dots === 3) break;
      if (code !== DOT || dots === 3) return false;
      dots += 1;
    }
  }
  // Of a shorter prefix the address may still lie inside: that is left to the reader of words.
  return within.every(
    ({ address: base, length }) =>
      base.family === 6 || (length > 0 && (base.value ^ address) >>> (32 - length) !== 0),
  );
}

/** Whether a route line is about our protocol, or about a prefix inside `within`, in our table. */
function concerns(line: string, filter: DumpFilter): boolean {
  const words = line.replace(/^Deleted /, '').split(/[ \t\\]+/);
  const table = numberAfter(words, 'table', TABLE_MAIN);
  const protocol = numberAfter(words, 'proto', PROTOCOL_BOOT);
  if (table === undefined || protocol === undefined) return true;
  if (table !== filter.table) return false;
  if (protocol === filter.protocol) return true;
  // A type other than unicast stands first, as a number; then the destination.
  const [first = '', second = ''] = words;
  const destination = /^\d+$/.test(first) ? second : first;
  // The default route's family cannot be told from the word.
  if (destination === 'default') return filter.within.some((outer) => outer.length === 0);
  const prefix = prefixOfWord(destination);
  return prefix === undefined || filter.within.some((outer) => containsPrefix(outer, prefix));
}

function prefixOfWord(word: string): Prefix | undefined {
  const host = parseAddress(word);
  return host === undefined ? parsePrefix(word) : prefixOf(host, host.family === 4 ? 32 : 128);
}

/** The number after `word`; undefined if what follows is none (a device may be called `table`). */
function numberAfter(words: readonly string[], word: string, absent: number): number | undefined {
  const at = words.indexOf(word);
  if (at === -1) return absent;
  const value = words[at + 1] ?? '';
  return /^\d+$/.test(value) ? Number(value) : undefined;
}
