/** The native route driver, systemd notification and hearing the firewall: what the addon offers, or why it cannot. */

import process from 'node:process';
import { sentenceOf } from '../../core/index.ts';
import type { RouteDriver } from '../types.ts';
import { openDriver } from './driver.ts';
import { type Loaded, loadAddon } from './loader.ts';

export type OpenedNative =
  | { readonly kind: 'loaded'; readonly driver: RouteDriver }
  | { readonly kind: 'absent'; readonly reason: string }
  | { readonly kind: 'broken'; readonly reason: string };

/** Opens the native driver. absent: the addon was not built. broken: it is there, but does not work. Never throws. */
export function openNative(): OpenedNative {
  const loaded = loadOnce();
  if (loaded.kind !== 'loaded') return loaded;
  try {
    return { kind: 'loaded', driver: openDriver(loaded.native) };
  } catch (error) {
    return { kind: 'broken', reason: sentenceOf(error) };
  }
}

/**
 * Sends sd_notify text (`READY=1`) from this very process, as NotifyAccess=main wants it; undefined without the addon.
 * The function does nothing where NOTIFY_SOCKET is not set, and throws if the socket does not take the text.
 */
export function nativeNotify(): ((text: string) => void) | undefined {
  const loaded = loadOnce();
  if (loaded.kind !== 'loaded') return undefined;
  const { native } = loaded;
  return (text) => {
    const socket = process.env['NOTIFY_SOCKET'];
    if (socket !== undefined && socket !== '') native.notify(socket, text);
  };
}

/**
 * Calls back after nftables may have changed (nft, iptables-nft), until the signal aborts; undefined without the addon. The
 * function throws if the kernel does not let it be heard.
 */
export function nativeFirewall():
  | ((onChange: () => void, signal: AbortSignal) => void)
  | undefined {
  const loaded = loadOnce();
  if (loaded.kind !== 'loaded') return undefined;
  const { native } = loaded;
  return (onChange, signal) => {
    const firewall = new native.Firewall(onChange);
    signal.addEventListener('abort', () => firewall.close(), { once: true });
  };
}

let once: Loaded | undefined;

function loadOnce(): Loaded {
  once ??= loadAddon();
  return once;
}
