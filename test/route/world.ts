/** What the conformance suite does to a kernel besides the driver's own work: foreign hands, links, addresses. */
import { run } from '../../src/core/index.ts';
import { type Prefix, parsePrefix } from '../../src/ip/index.ts';
import type { RouteDriver } from '../../src/route/types.ts';
import { FakeKernel } from '../support/fakeKernel.ts';
import { type ForeignRoute, wholeRoute } from '../support/fakeRoute.ts';
import { until } from '../support/until.ts';

export const HOST_V4 = '10.10.10.104/24';
export const HOST_V6 = 'fd00::104/64';

/** One link with HOST_V4 and HOST_V6, up with carrier, and nothing else. */
export interface World {
  readonly driver: RouteDriver;
  /** The link's index. */
  readonly device: number;
  /** As `ip route append`, by somebody else. */
  foreignAdd(route: ForeignRoute): Promise<void>;
  /** The same with words that make it `more`; false where this kernel or `ip` does not have them. */
  foreignMore(route: ForeignRoute, words: string): Promise<boolean>;
  foreignDelete(route: ForeignRoute): Promise<void>;
  setLink(change: { up?: boolean; carrier?: boolean; name?: string }): Promise<void>;
  addAddress(text: string): Promise<void>;
  removeAddress(text: string): Promise<void>;
  /** Routes with a gateway in table main, in the kernel's order: `10.1.0.0/24 via 10.10.10.9 proto 77 metric 0`. */
  list(): Promise<readonly string[]>;
  close(): Promise<void>;
}

export async function fakeWorld(): Promise<World> {
  const kernel = new FakeKernel();
  const device = kernel.addLink('eth0');
  kernel.addAddress(device, HOST_V4);
  kernel.addAddress(device, HOST_V6);
  const driver = kernel.driver();
  return {
    driver,
    device,
    foreignAdd: async (route) => void kernel.foreignAdd(route),
    foreignMore: async (route) => {
      kernel.foreignAdd({ ...route, more: true });
      return true;
    },
    foreignDelete: async (route) => void kernel.foreignDelete(route),
    setLink: async (change) => kernel.setLink(device, change),
    addAddress: async (text) => kernel.addAddress(device, text),
    removeAddress: async (text) => kernel.removeAddress(device, text),
    list: async () => {
      const main = kernel.dumpNow({ table: 254, protocol: 0, within: everywhere() });
      return main.flatMap((r) =>
        r.gateway === undefined
          ? []
          : [`${r.prefix.text} via ${r.gateway.text} proto ${r.protocol} metric ${r.metric}`],
      );
    },
    close: () => driver.close(),
  };
}

function everywhere(): Prefix[] {
  return ['0.0.0.0/0', '::/0'].flatMap((text) => parsePrefix(text) ?? []);
}

/** A real kernel: must be called in a network namespace that may be thrown away. */
export async function kernelWorld(open: () => Promise<RouteDriver>): Promise<World> {
  await ip('link set lo up');
  await ip('link add name eth0 type veth peer name peer0');
  // Without its own link-local addresses nothing happens in IPv6 but what the test does.
  await ip('link set eth0 addrgenmode none up');
  await ip('link set peer0 addrgenmode none up');
  const index = /^(\d+):/.exec(await ip('-o link show dev eth0'))?.[1];
  const device = Number(index);
  const dev = `dev if${device}`;
  const addAddress = async (text: string) =>
    void (await ip(`addr add ${text} ${dev} ${text.includes(':') ? 'nodad' : ''}`));
  await addAddress(HOST_V4);
  await addAddress(HOST_V6);
  const driver = await open();
  return {
    driver,
    device,
    addAddress,
    removeAddress: async (text) => void (await ip(`addr del ${text} ${dev}`)),
    foreignAdd: async (route) => void (await ip(`route append ${routeWords(route)}`)),
    foreignMore: (route, words) => addMore(route, words),
    foreignDelete: async (route) => void (await ip(`route del ${routeWords(route)}`)),
    async setLink({ up, carrier, name }) {
      if (up !== undefined) await ip(`link set ${dev} ${up ? 'up' : 'down'}`);
      if (carrier !== undefined) await setCarrier(carrier);
      if (name !== undefined) await ip(`link set ${dev} name ${name}`);
    },
    list: async () =>
      [...(await lines('-4')), ...(await lines('-6'))].flatMap((line) => gatewayRoutesOf(line)),
    async close() {
      await driver.close();
      await ip(`link del ${dev}`);
      for (const family of ['-4', '-6']) await ip(`${family} route flush table all`);
    },
  };
}

/** The kernel flags IPv4's routes later (linkwatch), under the lock under which the link's state changes. */
async function setCarrier(carrier: boolean): Promise<void> {
  await ip(`link set dev peer0 ${carrier ? 'up' : 'down'}`);
  const state = carrier ? / state UP / : / state (LOWERLAYER)?DOWN /;
  const all = async () => (await ip('-o link show')).split('\n');
  await until('the carrier is seen', async () =>
    (await all()).some((line) => line.includes('@peer0:') && state.test(line)),
  );
}

async function lines(family: '-4' | '-6'): Promise<string[]> {
  return (await ip(`${family} -N -d -o route show table 254`)).split('\n');
}

/** `1 10.1.0.0/24 via 10.10.10.9 dev eth0 proto 77 scope 0 metric 5`; IPv6 siblings follow as `nexthop via ...`. */
function gatewayRoutesOf(line: string): string[] {
  const [, prefix = ''] = /^(?:\d+ )?(\S+)/.exec(line) ?? [];
  const protocol = / proto (\d+)/.exec(line)?.[1];
  const metric = / metric (\d+)/.exec(line)?.[1] ?? '0';
  const vias = [...line.matchAll(/ via (\S+)/g)].map((found) => found[1]);
  return vias.map((via) => `${prefix} via ${via} proto ${protocol} metric ${metric}`);
}

async function addMore(route: ForeignRoute, words: string): Promise<boolean> {
  const nexthop = `via ${route.gateway?.text} dev if${route.device}`;
  const object = /^nhid (\d+)$/.exec(words)?.[1];
  try {
    if (object === undefined) await ip(`route append ${routeWords(route)} ${words}`);
    else {
      await ip(`nexthop add id ${object} ${nexthop}`);
      await ip(`route append ${routeWords(route).replace(nexthop, words)}`);
    }
    return true;
  } catch (error) {
    if (/not supported|unknown|is a garbage/i.test(String(error))) return false;
    throw error;
  }
}

function routeWords(route: ForeignRoute): string {
  const whole = wholeRoute(route);
  const type = whole.type === 6 ? 'blackhole ' : '';
  const via = whole.gateway === undefined ? '' : `via ${whole.gateway.text}`;
  const dev = whole.device === 0 ? '' : `dev if${whole.device}`;
  const source = whole.source === undefined ? '' : `src ${whole.source.text}`;
  const tos = whole.tos === 0 ? '' : `tos ${whole.tos}`;
  return `${type}${whole.prefix.text} ${tos} ${via} ${dev} proto ${whole.protocol} metric ${whole.metric} table ${whole.table} ${source}`;
}

async function ip(words: string): Promise<string> {
  const { code, stdout, stderr } = await run('ip', words.split(' ').filter(Boolean));
  if (code !== 0) throw new Error(`ip ${words}: ${stderr.trim()}`);
  return stdout;
}
