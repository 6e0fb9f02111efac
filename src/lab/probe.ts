/** Reads what ping and traceroute say, of BusyBox and of the full tools alike. */

export interface Reply {
  readonly from: string;
  readonly ttl: number;
  readonly ms: number;
}

/** The first reply of every address that answered. */
export function parsePing(output: string): Map<string, Reply> {
  const replies = new Map<string, Reply>();
  for (const line of output.split('\n')) {
    const match = /\bfrom ([0-9a-fA-F.:]+): .*\bttl=(\d+) time=([\d.]+) ms/.exec(line);
    const [, from, ttl, ms] = match ?? [];
    if (from === undefined || replies.has(from)) continue;
    replies.set(from, { from, ttl: Number(ttl), ms: Number(ms) });
  }
  return replies;
}

export interface Hop {
  readonly hop: number;
  /** Undefined: nobody answered for this hop. */
  readonly address: string | undefined;
  readonly ms: number | undefined;
}

export function parseTraceroute(output: string): Hop[] {
  return output.split('\n').flatMap((line) => {
    const [, hop, address, ms] =
      /^\s*(\d+)\s+(\*|[0-9a-fA-F.:]+)(?:\s+([\d.]+) ms)?/.exec(line) ?? [];
    if (hop === undefined || address === undefined) return [];
    const known = address === '*' ? undefined : address;
    return [{ hop: Number(hop), address: known, ms: ms === undefined ? undefined : Number(ms) }];
  });
}
