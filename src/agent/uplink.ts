/** The uplink: waiting for one, and what is said of it. */
import { sentenceOf } from '../core/index.ts';
import type { HostFacts, UplinkChoice } from '../host/index.ts';
import type { Address, Family } from '../ip/index.ts';
import type { PublicAddresses } from '../lease/index.ts';
import type { Health } from './health.ts';
import type { AgentPorts } from './ports.ts';

export type Uplink = Extract<UplinkChoice, { kind: 'uplink' }>;

const RETRY_MS = 1_000;

/**
 * Looks for the uplink until there is one, saying once why there is none. Undefined: the signal came first.
 * Rejects with `hopeless` where waiting cannot help.
 */
export async function awaitUplink(
  ports: AgentPorts,
  health: Health,
  signal: AbortSignal,
  hopeless: (reason: string) => Error,
): Promise<{ facts: HostFacts; uplink: Uplink } | undefined> {
  while (!signal.aborted) {
    let choice: UplinkChoice;
    let facts: HostFacts;
    try {
      facts = await ports.host.facts(signal);
      choice = await ports.host.uplink(facts, undefined, undefined);
    } catch (error) {
      if (signal.aborted) return undefined;
      throw hopeless(sentenceOf(error));
    }
    if (choice.kind === 'uplink') {
      health.clear('uplink');
      ports.log.info(announced(choice, undefined));
      return { facts, uplink: choice };
    }
    if (!choice.canWait) throw hopeless(choice.reason);
    const sentence = `waiting for an external interface: ${choice.reason}`;
    health.set({ code: 'uplink', sentence, blocking: true });
    await pause(ports, RETRY_MS, signal);
  }
  return undefined;
}

/** Resolves after `ms`, or when the signal aborts. */
export function pause({ clock }: AgentPorts, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      cancel();
      // A signal lives as long as the agent: what waited for it must not stay with it.
      signal.removeEventListener('abort', done);
      resolve();
    };
    const cancel = clock.at(clock.now() + ms, done);
    signal.addEventListener('abort', done, { once: true });
  });
}

/** `families`: those that count, as for `addressesOf`. */
export function announced(uplink: Uplink, families: readonly Family[] | undefined): string {
  const { publicIp, publicIp6 } = addressesOf(uplink, families);
  const parts = [publicIp?.text, publicIp6 && `${publicIp6.text}${uplink.how6}`];
  const said = parts.filter((part) => part !== undefined).join(' and ');
  const word = publicIp !== undefined && publicIp6 !== undefined ? 'addresses' : 'address';
  return `external interface ${uplink.name} (${uplink.how}), ${word} ${said}, mtu ${uplink.mtu}`;
}

/** Sets hosts apart that are copies of each other. */
export function firstAddress(uplink: Uplink): string {
  const { publicIp, publicIp6 } = addressesOf(uplink, undefined);
  return (publicIp ?? publicIp6)?.text ?? '';
}

/** What is wrong with --route-src; undefined: nothing. */
export function sourceTrouble(
  { links }: HostFacts,
  sources: readonly Address[],
): string | undefined {
  const local = new Set(links.flatMap((link) => link.addresses.map(({ address }) => address.text)));
  const wrong = sources.find(({ text }) => !local.has(text));
  if (wrong === undefined) return undefined;
  return `--route-src is ${wrong.text}, which is no address of this host: name one of ${[...local].join(', ')}`;
}

/** Equal text, nothing moved. */
export function uplinkText(uplink: Uplink, families: readonly Family[] | undefined): string {
  const { publicIp, publicIp6 } = addressesOf(uplink, families);
  return [uplink.device, uplink.name, publicIp?.text, publicIp6?.text, uplink.mtu].join(' ');
}

/** The addresses in the families of the network config; while that is not known, in the first that the uplink has. */
export function addressesOf(
  { address, address6 }: Uplink,
  families: readonly Family[] | undefined,
): PublicAddresses {
  const [four, six] =
    families === undefined
      ? [true, address === undefined]
      : [families.includes(4), families.includes(6)];
  return { publicIp: four ? address : undefined, publicIp6: six ? address6 : undefined };
}
