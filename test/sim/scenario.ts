/**
 * Scenario files: commands, each followed by `----` and by everything that happened then, as a reader would see it in the
 * log of every host, in its kernel and in etcd. A change of behaviour is a change of these files, to be read in review.
 */
import { AgentWorld, CONFIG, CONFIG_KEY, SUBNETS } from '../support/agentWorld.ts';
import { prefix } from '../support/leases.ts';
import type { SimEvent } from '../support/simEtcd.ts';
import { leaseText } from './hostile.ts';

const RULE = '----';
const TTL_SECONDS = 60;
const RIVAL_PROTOCOL = 186;

/** Runs the commands of a scenario; returns it with what happens now. */
export async function replay(text: string): Promise<string> {
  const stage = new Stage();
  try {
    const parts: string[] = [];
    for (const block of text.trimEnd().split(/\n\n(?=\S)/)) {
      const command = block.split(`\n${RULE}`)[0] ?? '';
      const lines = command.split('\n').filter((line) => !line.startsWith('#'));
      if (lines.length === 0) parts.push(command);
      else parts.push([command, RULE, ...(await stage.perform(lines))].join('\n'));
    }
    return `${parts.join('\n\n')}\n`;
  } finally {
    await stage.world.close();
  }
}

class Stage {
  readonly world = new AgentWorld(1, { leaseTtlSeconds: TTL_SECONDS });
  #happened: string[] = [];
  readonly #said = new Map<string, number>();
  readonly #written = new Map<string, number>();
  #restore = this.world.etcd.backup();

  constructor() {
    this.world.etcd.follow((events) => this.#store(events));
    this.world.onStep = () => this.#look();
  }

  async perform(commands: readonly string[]): Promise<string[]> {
    for (const command of commands) await this.#one(command.split(' '));
    this.#look();
    const happened = this.#happened;
    this.#happened = [];
    return happened;
  }

  async #one([verb = '', name = '', ...rest]: readonly string[]): Promise<void> {
    const { world } = this;
    const { etcd } = world;
    const text = rest.join(' ');
    const host = () => this.#host(name);
    const verbs: Record<string, () => unknown> = {
      host: () => world.agent({ address: text }),
      fleet: () => this.#fleet(Number(name)),
      run: () => world.run(durationOf(name)),
      config: () => etcd.put(CONFIG_KEY, [name, ...rest].join(' ').trim() || CONFIG),
      kill: () => host().kill(),
      start: () => host().start(),
      reboot: () =>
        host()
          .reboot()
          .then(() => host().start()),
      confirm: () => host().confirm(),
      address: () => host().move(text),
      cut: () => this.#each(name, (each) => each.etcd.setLine('refused')),
      silence: () => this.#each(name, (each) => each.etcd.setLine('silent')),
      mend: () => this.#each(name, (each) => each.etcd.setLine('up')),
      down: () => host().kernel.setLink(host().device, { up: false }),
      up: () => {
        host().kernel.setLink(host().device, { up: true });
        host().routeByDefault();
      },
      delete: () => etcd.delete(name === 'config' ? CONFIG_KEY : host().key),
      deleteall: () => etcd.under(SUBNETS).map(({ key }) => etcd.delete(key)),
      take: () => etcd.put(host().key, leaseText(text)),
      lease: () => etcd.put(SUBNETS + name, leaseText(text)),
      wipe: () => etcd.wipe('same-id'),
      compact: () => etcd.compact(),
      backup: () => (this.#restore = etcd.backup()),
      restore: () => this.#restore('same-id'),
      rival: () => this.#rival(name, text),
      routes: () => this.#note(name, host().routes().join('\n') || 'no routes'),
      health: () => this.#note(name, this.#health(name)),
      etcd: () => this.#note('etcd', etcd.under(SUBNETS).map(shown).join('\n') || 'no leases'),
    };
    const act = verbs[verb];
    if (act === undefined) throw new Error(`no such command: ${verb}`);
    await act();
    // What was done to etcd or a kernel is seen before time goes on.
    await world.run(0);
  }

  /** So many hosts, all at peace; how they came there is told elsewhere. */
  async #fleet(count: number): Promise<void> {
    await this.world.fleet(count);
    await this.world.run(40_000);
    this.#look();
    this.#happened = [];
    this.#note('etcd', this.world.etcd.under(SUBNETS).map(shown).join('\n'));
  }

  /** Somebody else's route to the subnet of another host; `gone` takes it away. */
  #rival(name: string, what: string): void {
    const { kernel, device } = this.#host(name);
    const [other = '', gone] = what.split(' ');
    const route = { prefix: prefix(this.#host(other).key.slice(SUBNETS.length).replace('-', '/')) };
    if (gone === undefined) kernel.foreignAdd({ ...route, device, protocol: RIVAL_PROTOCOL });
    else kernel.foreignDelete({ ...route, protocol: RIVAL_PROTOCOL });
  }

  #health(name: string): string {
    const told: { ready: boolean; conditions: { code: string; sentence: string }[] } = JSON.parse(
      this.#host(name).readyz(),
    );
    const lines = told.conditions.map(({ code, sentence }) => `${code}: ${sentence}`);
    return [told.ready ? 'ready' : 'not ready', ...lines].join('\n');
  }

  #each(name: string, act: (host: AgentWorld['hosts'][number]) => void): void {
    for (const host of name === 'all' ? this.world.hosts : [this.#host(name)]) act(host);
  }

  #host(name: string): AgentWorld['hosts'][number] {
    const host = this.world.hosts.find((each) => each.name === name);
    if (host === undefined) throw new Error(`no such host: ${name}`);
    return host;
  }

  /** What hosts have said and done since the last look. */
  #look(): void {
    for (const host of this.world.hosts) {
      const { name } = host;
      const lines = host.log.lines;
      for (const line of lines.slice(this.#said.get(name) ?? 0))
        if (!line.startsWith('debug ')) this.#note(name, line);
      this.#said.set(name, lines.length);
      const writes = host.writes();
      for (const write of writes.slice(this.#written.get(name) ?? 0))
        this.#note(name, `kernel: ${write}`);
      this.#written.set(name, writes.length);
    }
  }

  #store(events: readonly SimEvent[]): void {
    for (const event of events)
      this.#note(
        'etcd',
        event.type === 'put' ? `put ${shown(event.entry)}` : `delete ${last(event.key)}`,
      );
  }

  #note(who: string, what: string): void {
    const seconds = (this.world.clock.now() / 1000).toFixed(1);
    for (const line of what.split('\n'))
      this.#happened.push(`${seconds.padStart(7)} ${who}: ${line}`);
  }
}

const last = (key: string): string => key.slice(key.lastIndexOf('/') + 1);

function shown({ key, value }: { key: string; value: string }): string {
  const address = /"PublicIP":"([^"]*)"/.exec(value)?.[1];
  return address === undefined ? `${last(key)} ${value}` : `${last(key)} at ${address}`;
}

function durationOf(text: string): number {
  const [, count, unit] = /^(\d+)(ms|s|m)$/.exec(text) ?? [];
  if (count === undefined) throw new Error(`no duration: ${text}`);
  return Number(count) * (unit === 'm' ? 60_000 : unit === 's' ? 1_000 : 1);
}
