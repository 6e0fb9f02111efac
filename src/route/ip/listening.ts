/**
 * Whether a process listens to groups of rtnetlink: asked of the kernel, not of the process.
 * That its socket has joined the groups is not enough: `ip monitor` then reads all links over the same socket and
 * throws away what else arrives meanwhile (rtnl_dump_filter). A link dump never waits, so a process that has joined
 * and sleeps is past it: nothing that happens from then on is missed.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** `groups` is a mask of RTMGRP_*. False also where the process is gone or cannot be looked into. */
export function isListening(pid: number, groups: number): boolean {
  try {
    // In this order: asleep after it had joined.
    return hasJoined(pid, groups) && isAsleep(pid);
  } catch {
    return false;
  }
}

function hasJoined(pid: number, groups: number): boolean {
  const fds = `/proc/${pid}/fd`;
  const sockets = new Set(readdirSync(fds).map((fd) => readlinkSync(`${fds}/${fd}`)));
  const lines = readFileSync(`/proc/${pid}/net/netlink`, 'utf8').split('\n').slice(1);
  return lines.some((line) => {
    // sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode
    const words = line.trim().split(/\s+/);
    const joined = Number.parseInt(words[3] ?? '', 16);
    return sockets.has(`socket:[${words[9]}]`) && (joined & groups) === groups;
  });
}

function isAsleep(pid: number): boolean {
  // The name, in brackets, may hold anything; the state follows its last bracket.
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return stat.slice(stat.lastIndexOf(')') + 2).startsWith('S');
}
