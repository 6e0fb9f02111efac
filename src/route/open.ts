/** Picks the route driver: native where the addon works, else ip; says which and why. */
import { type Log, sentenceOf } from '../core/index.ts';
import { type IpDriverOptions, openIpDriver } from './ip/index.ts';
import { type OpenedNative, openNative } from './native/index.ts';
import { type RouteDriver, RouteDriverError } from './types.ts';

export type DriverChoice = 'auto' | 'native' | 'ip';

/** How the two are opened; a test gives its own. */
export interface DriverOpeners {
  readonly native: () => OpenedNative;
  readonly ip: (options: IpDriverOptions) => Promise<RouteDriver>;
}

const BUILD = 'npm run build:native';

/**
 * Opens the chosen driver. `auto` takes native, else ip. Rejects with RouteDriverError, which names reason and cure,
 * if the one that was asked for, or with `auto` both, cannot be opened.
 */
export async function openRouteDriver(
  choice: DriverChoice,
  log: Log,
  open: DriverOpeners = { native: openNative, ip: openIpDriver },
): Promise<RouteDriver> {
  if (choice === 'ip') {
    const driver = await open.ip({ log });
    log.info('route driver ip: asked for');
    return driver;
  }
  const opened = open.native();
  if (opened.kind === 'loaded') {
    const why = choice === 'native' ? 'asked for' : 'the addon is there and works';
    log.info(`route driver native: ${why}`);
    return opened.driver;
  }
  // Absent is a plain fact of this installation. Broken means that somebody built it and counts on it.
  const what = opened.kind === 'absent' ? 'there is no addon' : 'the addon is broken';
  const sentence = `${what} (${opened.reason}); ${BUILD} builds it`;
  if (choice === 'native') throw new RouteDriverError(`route driver native: ${sentence}`);
  const driver = await open.ip({ log }).catch((error: unknown) => {
    const reason = sentenceOf(error);
    throw new RouteDriverError(`no route driver: ${sentence}; and ${reason}`, { cause: error });
  });
  if (opened.kind === 'absent') log.info(`route driver ip: ${sentence}`);
  else log.warn(`route driver ip: ${sentence}`);
  return driver;
}
