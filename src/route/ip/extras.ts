/**
 * What `ip` prints of a route beyond what a `Route` says; and its JSON with each key of an object but once, for
 * `encap ip` prints a `dst` and a `tos` of its own among the route's.
 */
import type { Row } from './dump.ts';

/** Keys that are read, and those that say nothing: `scope` and `pref` are looked at for their values. */
const READ = new Set(
  'dst gateway via dev metric protocol table type tos prefsrc flags nexthops scope pref'.split(' '),
);
const READ_OF_HOP = new Set(['gateway', 'via', 'dev', 'flags', 'weight']);
/** What the kernel says of the moment and nobody configured. */
const OF_THE_MOMENT = new Set<unknown>(
  'dead linkdown offload trap rt_offload rt_trap rt_offload_failed'.split(' '),
);

/** Whether a route says more: a key or a flag that is not known, a narrower scope, a router's preference. */
export function hasMore(row: Row): boolean {
  for (const key in row) if (!READ.has(key)) return true;
  const { scope = '0', pref = 'medium' } = row;
  // With -N a scope is a number; the kernel's widest is 0, and then `ip` leaves it out.
  return String(scope) !== '0' || pref !== 'medium' || hasFlags(row);
}

/** Whether one of several next hops does. */
export function hopHasMore(hop: Row): boolean {
  for (const key in hop) if (!READ_OF_HOP.has(key)) return true;
  const { weight = 1 } = hop;
  return weight !== 1 || hasFlags(hop);
}

function hasFlags({ flags }: Row): boolean {
  return Array.isArray(flags) && flags.some((flag) => !OF_THE_MOMENT.has(flag));
}

/** The JSON with ` (2)` behind each key that its object has already; JSON.parse would take the last of them. */
export function distinctKeys(json: string): string {
  if (!json.includes('"encap"')) return json;
  const objects: Set<string>[] = [];
  return json.replace(
    /("(?:[^"\\]|\\.)*")(\s*:)?|[{}]/g,
    (token, word?: string, colon?: string) => {
      if (token === '{') objects.push(new Set());
      else if (token === '}') objects.pop();
      const keys = objects.at(-1);
      if (word === undefined || colon === undefined || keys === undefined) return token;
      if (keys.has(word)) return `${word.slice(0, -1)} (2)"${colon}`;
      keys.add(word);
      return token;
    },
  );
}
