/** Hosts as far as they are lease holders: the real cores of our own subnet, each with a session of its own to a real etcd. */
import { type OwnSidePorts, runOwn } from '../../src/agent/ownSide.ts';
import { newLeaseId } from '../../src/agent/start.ts';
import { type NetworkConfig, parseNetworkConfig } from '../../src/config/index.ts';
import { systemClock } from '../../src/core/index.ts';
import type { Etcd } from '../../src/etcd/index.ts';
import { Departed, LeaseView, type OwnStatus } from '../../src/lease/index.ts';
import type { TestEtcd } from '../support/etcd.ts';
import { address } from '../support/leases.ts';
import { until } from '../support/until.ts';

const PREFIX = '/coreos.com/network';
export const SUBNETS = `${PREFIX}/subnets/`;
export const CONFIG_KEY = `${PREFIX}/config`;

/** A network with exactly `count` subnets, at most 255. */
export const configOf = (count: number): string =>
  `{"Network":"10.100.0.0/16","SubnetMin":"10.100.1.0","SubnetMax":"10.100.${count}.0","Backend":{"Type":"host-gw"}}`;

export class Holder {
  subnet: string | undefined;
  status: { readonly status: OwnStatus; readonly sentence: string } | undefined;
  readonly #index: number;
  readonly #life = new AbortController();
  readonly #etcd: Etcd;
  /** When it held its subnet, by performance.now(). */
  heldAt = Number.NaN;

  constructor(index: number, server: TestEtcd) {
    this.#index = index;
    this.#etcd = server.open();
  }

  /** Opens the connection, so that a start measures what it is about. */
  async connect(): Promise<void> {
    const answered = (): Promise<boolean> =>
      this.#etcd.get(CONFIG_KEY).then(
        () => true,
        () => false,
      );
    await until('etcd answers', answered, 60_000);
  }

  start(): void {
    const view = new LeaseView(SUBNETS);
    const departed = new Departed();
    const { signal } = this.#life;
    const ports: OwnSidePorts = {
      clock: systemClock,
      random: Math.random,
      etcd: this.#etcd,
      newLeaseId,
      host: { saveState: async () => {} },
    };
    const none = { subnet: undefined, subnet6: undefined };
    const own = runOwn(
      ports,
      {
        ...{ etcdPrefix: PREFIX, ttlSeconds: 60, renewMarginMs: 0, lost: 'wait', signal },
        ...{ state: undefined, previous: none, seed: `machine-${this.#index}` },
      },
      {
        asking: () => {},
        held: ({ subnet }) => {
          this.subnet = subnet?.text;
          this.heldAt = performance.now();
        },
        status: (status, sentence) => {
          this.status = { status, sentence };
        },
        unsaved: () => {},
      },
    );
    const publicIp = address(`10.10.${this.#index >> 8}.${this.#index & 255}`);
    own({ type: 'addresses', publicIp, publicIp6: undefined });
    this.#etcd.watch(
      `${PREFIX}/`,
      (item) => {
        if (item.type === 'freshness') return;
        if (item.type === 'snapshot') {
          const text = item.entries.find(({ key }) => key === CONFIG_KEY)?.value ?? '';
          own({ type: 'config', config: { kind: 'valid', config: valid(text) } });
          const entries = item.entries.filter(({ key }) => key.startsWith(SUBNETS));
          departed.note(view.apply({ ...item, entries }), undefined);
        } else departed.note(view.apply(item), undefined);
        const { revision } = item;
        own({ type: 'view', revision, leases: view.leases, departed: departed.subnets });
      },
      signal,
    );
  }

  stop(): void {
    this.#life.abort();
  }
}

function valid(text: string): NetworkConfig {
  const read = parseNetworkConfig(text);
  if (read.kind === 'invalid') throw new Error(read.reason);
  return read.config;
}
