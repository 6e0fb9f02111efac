// The system's tools that hosts in namespaces need, and an etcd, on a machine that may have neither.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { findProgram, isProgram, say } from './common.mjs';

// Any one of `programs` will do. Docker is not here: without it the demo uses plain namespaces.
const TOOLS = [
  { programs: ['ip'], package: 'iproute2' },
  { programs: ['nft'], package: 'nftables' },
  { programs: ['iptables'], package: 'iptables' },
  { programs: ['unshare'], package: 'util-linux' },
  { programs: ['setpriv'], package: 'util-linux' },
  { programs: ['ping', 'busybox'], package: 'busybox-static' },
];

const mayInstall = () => process.env.HOSTGW_NO_INSTALL !== '1';
const quietly = (file, args, options = {}) =>
  spawnSync(file, args, { stdio: ['ignore', 'pipe', 'pipe'], encoding: 'utf8', ...options });

/** Installs the missing basic tools with apt-get if we may; else says in one sentence what to install. */
export function ensureTools() {
  const absent = () => TOOLS.filter((tool) => !tool.programs.some(findProgram));
  const packages = [...new Set(absent().map((tool) => tool.package))];
  if (packages.length === 0) return;
  const list = packages.join(' ');
  if (!mayInstall() || process.getuid?.() !== 0 || !findProgram('apt-get')) {
    say(`missing tools: install the packages ${list} (on Debian: sudo apt-get install ${list})`);
    return;
  }
  say(`installing ${list} with apt-get (HOSTGW_NO_INSTALL=1 forbids it)`);
  aptInstall(packages);
  const still = absent().map((tool) => tool.programs[0]);
  if (still.length > 0) say(`apt-get did not bring ${still.join(', ')}; install ${list} yourself`);
}

/** Installs Debian packages; services in them are not started. Lists are fetched only if the first try fails. */
function aptInstall(packages) {
  // invoke-rc.d asks this program whether a service may start; a policy that is there already stays.
  const policy = '/usr/sbin/policy-rc.d';
  const script = `
    made=; if [ ! -e ${policy} ]; then printf '#!/bin/sh\\nexit 101\\n' >${policy}; chmod 755 ${policy}; made=1; fi
    trap '[ -z "$made" ] || rm -f ${policy}' EXIT
    trap 'exit 130' INT TERM HUP
    apt-get install -qq -y --no-install-recommends "$@" || { apt-get update -qq && apt-get install -qq -y --no-install-recommends "$@"; }`;
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const result = quietly('sh', ['-c', script, 'sh', ...packages], { env });
  if (result.status !== 0) say(`apt-get failed: ${lastLine(result.stderr)}`);
}

const lastLine = (text) => (text ?? '').trim().split('\n').at(-1) ?? '';

/** Where etcd is: $ETCD, PATH, the cache, a download of the distribution's package into the cache. */
export function findEtcd() {
  const named = process.env.ETCD;
  if (named) {
    return isProgram(named)
      ? { path: named }
      : { cure: `$ETCD names ${named}, which is no program; correct it or unset it` };
  }
  const installed = findProgram('etcd');
  if (installed) return { path: installed };
  const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'hostgw', 'etcd');
  const cached = join(cache, 'usr', 'bin', 'etcd');
  if (isProgram(cached)) return { path: cached };
  const why = downloadEtcd(cache);
  if (why === undefined && isProgram(cached)) return { path: cached };
  return {
    cure: `no etcd (${why ?? 'the package holds none'}): install etcd, or name it in $ETCD`,
  };
}

/** Unpacks Debian's etcd-server into the cache, nothing else: no service, no user. Gives the reason if it cannot. */
function downloadEtcd(cache) {
  if (!mayInstall()) return 'HOSTGW_NO_INSTALL=1 forbids a download';
  if (!findProgram('apt-get') || !findProgram('dpkg'))
    return 'there is no apt-get here to download it';
  say(`downloading etcd with apt-get into ${cache}`);
  let work;
  try {
    mkdirSync(join(cache, '..'), { recursive: true });
    // Into a folder of our own first, then one rename: two that run at once never see half an etcd.
    work = mkdtempSync(`${cache}.`);
    const download = () => quietly('apt-get', ['download', '-qq', 'etcd-server'], { cwd: work });
    let result = download();
    if (result.status !== 0 && process.getuid?.() === 0) {
      quietly('apt-get', ['update', '-qq']);
      result = download();
    }
    const deb = readdirSync(work).find((name) => name.endsWith('.deb'));
    if (deb === undefined)
      return `apt-get download etcd-server: ${lastLine(result.stderr) || 'nothing came'}`;
    const unpacked = quietly('dpkg', ['-x', join(work, deb), join(work, 'root')]);
    if (unpacked.status !== 0) return `dpkg -x: ${lastLine(unpacked.stderr)}`;
    // A second run may have been faster; a broken cache is replaced.
    if (isProgram(join(cache, 'usr', 'bin', 'etcd'))) return undefined;
    rmSync(cache, { recursive: true, force: true });
    renameSync(join(work, 'root'), cache);
    return undefined;
  } catch (error) {
    return error.message;
  } finally {
    if (work !== undefined) rmSync(work, { recursive: true, force: true });
  }
}
