/**
 * Whole hosts on one machine. Everything a lab makes lives in namespaces that die with its owner, also
 * on kill -9; two labs never meet. Nothing is changed on the machine itself.
 */
import type { RunOptions, RunResult } from '../core/index.ts';
import { type Host, type HostPlan, makeHost } from './host.ts';
import { LabError, type Nest, openNest } from './nest.ts';

export interface LabOptions {
  readonly hosts: readonly HostPlan[];
  /** Address of the switch, which is every host's default gateway, with its length: 10.10.10.1/24. */
  readonly gateway: string;
  /** Names that hosts resolve by /etc/hosts. */
  readonly names?: Readonly<Record<string, string>>;
  /** Value of net.ipv4.ip_forward that hosts start with. Default false. */
  readonly ipForward?: boolean;
}

export interface Lab {
  readonly hosts: readonly Host[];
  /** Holds the names of `ip netns` and the switch; dies with us. */
  readonly nest: Nest;
  /** Runs a command in the switch's namespace, where the names of `ip netns` are. */
  run(command: readonly string[], options?: RunOptions): Promise<RunResult>;
  /** Ends every process of the lab and waits until it is gone. */
  close(): Promise<void>;
}

export async function openLab(options: LabOptions): Promise<Lab> {
  const nest = await openNest();
  try {
    const hosts = await furnish(nest, options);
    return {
      hosts,
      nest,
      run: (command, runOptions) => nest.run(command, runOptions),
      close: nest.close,
    };
  } catch (error) {
    await nest.close();
    throw error;
  }
}

async function furnish(nest: Nest, options: LabOptions): Promise<Host[]> {
  const steps = [
    'link add lan type bridge',
    `addr add ${options.gateway} dev lan`,
    'link set lan up',
  ];
  const made = await nest.run(['ip', '-batch', '-'], { input: `${steps.join('\n')}\n` });
  if (made.code !== 0)
    throw new LabError(`The lab's switch could not be made: ${made.stderr.trim()}`);
  const gateway = options.gateway.replace(/\/\d+$/, '');
  const own = options.hosts.map((plan) => [plan.name, plan.address.replace(/\/\d+$/, '')]);
  const names = { ...Object.fromEntries(own), ...options.names };
  return Promise.all(
    options.hosts.map((plan, index) => {
      const mac = `02:67:77:00:00:${(index + 1).toString(16).padStart(2, '0')}`;
      return makeHost(nest, { ...plan, gateway, names, mac }, options.ipForward ?? false);
    }),
  );
}

/** Recipe A: docker1 ... dockerN, 10.10.10.101/24 and up, default route via 10.10.10.1. */
export function recipeA(hosts: number): Pick<LabOptions, 'hosts' | 'gateway'> {
  const plan = Array.from({ length: hosts }, (_, index) => ({
    name: `docker${index + 1}`,
    address: `10.10.10.${101 + index}/24`,
  }));
  return { hosts: plan, gateway: '10.10.10.1/24' };
}

/** Recipe B: two hosts of a /16, etcd reached by name. */
export function recipeB(): Pick<LabOptions, 'hosts' | 'gateway' | 'names'> {
  return {
    hosts: [
      { name: 'web1', address: '172.17.42.41/16' },
      { name: 'web2', address: '172.17.42.43/16' },
    ],
    gateway: '172.17.42.1/16',
    names: { 'etcd-server': '172.17.42.41' },
  };
}
