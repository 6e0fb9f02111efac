/**
 * The subnet file, `/run/flannel/subnet.env`: how Docker and others learn this host's subnet. Flannel's names and
 * order; replaced atomically, left alone if it says the same already; what others wrote into it is read tolerantly.
 */

import { chmod, mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { sentenceOf } from '../core/index.ts';
import {
  addressAt,
  type Family,
  familyOf,
  type Prefix,
  parseInterfaceAddress,
} from '../ip/index.ts';

export interface SubnetOfFamily {
  readonly network: Prefix;
  readonly subnet: Prefix;
}

export interface SubnetFile {
  readonly v4: SubnetOfFamily | undefined;
  readonly v6: SubnetOfFamily | undefined;
  readonly mtu: number;
  readonly ipMasq: boolean;
}

/** The subnets a file names, where they can be read. */
export interface PreviousSubnets {
  readonly subnet: Prefix | undefined;
  readonly subnet6: Prefix | undefined;
}

export function formatSubnetFile({ v4, v6, mtu, ipMasq }: SubnetFile): string {
  // The bridge gets the first address behind the subnet's own, as in flannel.
  const bridge = ({ subnet }: SubnetOfFamily): string =>
    `${addressAt(subnet, 1).text}/${subnet.length}`;
  const lines = [
    ...(v4 ? [`FLANNEL_NETWORK=${v4.network.text}`, `FLANNEL_SUBNET=${bridge(v4)}`] : []),
    ...(v6 ? [`FLANNEL_IPV6_NETWORK=${v6.network.text}`, `FLANNEL_IPV6_SUBNET=${bridge(v6)}`] : []),
    `FLANNEL_MTU=${mtu}`,
    `FLANNEL_IPMASQ=${ipMasq}`,
  ];
  return `${lines.join('\n')}\n`;
}

/** Later lines win, as in a shell; anything unreadable counts as absent. */
export function parseSubnetFile(text: string): PreviousSubnets {
  const values = new Map<string, string>();
  for (const line of text.split(/\r?\n/)) {
    const match = /^\s*(?:export\s+)?(FLANNEL_\w+)\s*=\s*(["']?)([^"'#\s]*)\2/.exec(line);
    if (match?.[1] !== undefined) values.set(match[1], match[3] ?? '');
  }
  const subnet = (name: string, family: Family): Prefix | undefined => {
    const prefix = parseInterfaceAddress(values.get(name) ?? '')?.prefix;
    return prefix !== undefined && familyOf(prefix) === family ? prefix : undefined;
  };
  return { subnet: subnet('FLANNEL_SUBNET', 4), subnet6: subnet('FLANNEL_IPV6_SUBNET', 6) };
}

/** Keeps the temporary files of two writes at once apart. */
let written = 0;

/** What the file at `path` names; nothing if it cannot be read. */
export async function readSubnetFile(path: string): Promise<PreviousSubnets> {
  return parseSubnetFile((await textOf(path)) ?? '');
}

/** Whether the file says just this already. */
export async function subnetFileSays(path: string, file: SubnetFile): Promise<boolean> {
  return (await textOf(path)) === formatSubnetFile(file);
}

/**
 * Writes the file, its folder too. Resolves to whether anything was written; rejects with one sentence.
 * A reader sees the old file or the new one, also across a crash of the host.
 */
export async function writeSubnetFile(path: string, file: SubnetFile): Promise<boolean> {
  if (await subnetFileSays(path, file)) return false;
  const text = formatSubnetFile(file);
  const temporary = join(dirname(path), `.${basename(path)}.${process.pid}.${++written}`);
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o755 });
    await writeDurably(temporary, text);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    const reason = sentenceOf(error);
    throw new Error(`The subnet file ${path} cannot be written: ${reason}`, { cause: error });
  }
  return true;
}

async function writeDurably(path: string, text: string): Promise<void> {
  const handle = await open(path, 'w', 0o644);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  // Docker's drop-in and flannel's tools read it as anybody; a tight umask must not stop them.
  await chmod(path, 0o644);
}

async function textOf(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch(() => undefined);
}
