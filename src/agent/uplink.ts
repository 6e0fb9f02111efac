/** The uplink: waiting for one, and what is said of it. */
import { sentenceOf } from '../core/index.ts';
import type { HostFacts, UplinkChoice } from '../host/index.ts';
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
      choice = await ports.host.uplink(facts, undefined);
    } catch (error) {
      if (signal.aborted) return undefined;
      throw hopeless(sentenceOf(error));
    }
    if (choice.kind === 'uplink') {
      health.clear('uplink');
      ports.log.info(announced(choice));
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

export const announced = ({ name, address, mtu, how }: Uplink): string =>
  `external interface ${name} (${how}), address ${address.text}, mtu ${mtu}`;

/** Equal text, nothing moved. */
export const uplinkText = ({ device, name, address, mtu }: Uplink): string =>
  [device, name, address.text, mtu].join(' ');
