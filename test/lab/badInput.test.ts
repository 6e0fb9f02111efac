import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import {
  type Host,
  type Lab,
  type LabEtcd,
  type LabProcess,
  openLab,
  recipeA,
  runtimePath,
  startEtcd,
} from '../../src/lab/index.ts';
import { needs } from '../support/needs.ts';

const skip = needs('root', 'ip', 'unshare', 'setpriv', 'nsenter', 'etcd', 'etcdctl') ?? false;
const PREFIX = '/coreos.com/network';
const GOOD = '{"Network":"10.100.0.0/16","Backend":{"Type":"host-gw"}}';

describe('bad input to an agent', { skip }, () => {
  let lab: Lab;
  let host: Host;
  let other: Host;
  let etcd: LabEtcd;

  before(async () => {
    lab = await openLab(recipeA(2));
    const [first, second] = lab.hosts;
    assert.ok(first !== undefined && second !== undefined);
    [host, other] = [first, second];
    etcd = await startEtcd(other);
  });
  after(() => lab.close());
  beforeEach(async () => {
    await etcdctl('del', '--prefix', PREFIX);
    await host.must(['sh', '-c', 'rm -rf /var/lib/hostgw/* /run/flannel/*']);
  });

  afterEach(async () => {
    for (const process of started.splice(0)) {
      process.kill('SIGKILL');
      await process.exited;
    }
    await host.run(['ip', 'route', 'flush', 'proto', '104']);
  });

  const etcdctl = (...args: string[]): Promise<string> =>
    other.must(['env', 'ETCDCTL_API=3', 'etcdctl', `--endpoints=${etcd.endpoint}`, ...args]);
  const started: LabProcess[] = [];
  const agent = (...args: string[]): LabProcess => {
    const process = host.spawnAgent({ args: [`--etcd-endpoints=${etcd.endpoint}`, ...args] });
    started.push(process);
    return process;
  };
  const routes = (): Promise<string> => host.must(['ip', 'route']);

  async function ends(args: string[], code: number, sentence: RegExp): Promise<void> {
    const process = agent(...args);
    const exit = await process.exited;
    assert.equal(exit.code, code, process.lastWords());
    assert.match(process.lines.map(({ text }) => text).join('\n'), sentence);
  }

  /** The agent says the sentence and still runs; then it ends as told. */
  async function waits(args: string[], sentence: RegExp): Promise<void> {
    const process = agent(...args);
    await process.waitFor(sentence);
    process.kill('SIGTERM');
    assert.equal((await process.exited).code, 0, process.lastWords());
  }

  test('an endpoint that is no URL ends it with 2 and the expected form', () =>
    ends(
      ['--etcd-endpoints=etcd-server'],
      2,
      /etcd endpoint "etcd-server": expected http:\/\/HOST:PORT/,
    ));

  test('an unknown flag ends it with 2 and the nearest known one', () =>
    ends(
      ['--etcd-endpoint=http://x:1'],
      2,
      /unknown option '--etcd-endpoint=?.*Did you mean --etcd-endpoints/s,
    ));

  test('a flag whose function is not built ends it with 2', () =>
    ends(['-ip-masq'], 2, /--ip-masq=true is refused/));

  test('an endpoint where nobody listens is waited for', () =>
    waits(
      ['--etcd-endpoints=http://10.10.10.102:9'],
      /http:\/\/10\.10\.10\.102:9 refused the connection/,
    ));

  test('an endpoint whose name is unknown is waited for', () =>
    waits(
      ['--etcd-endpoints=http://no-such-host.invalid:2379'],
      /etcd at .*no-such-host\.invalid.*/,
    ));

  test('an interface that is not there is waited for, with those that are', () =>
    waits(
      ['--iface=eth7'],
      /waiting for an external interface: .*--iface=eth7.*eth0 \(10\.10\.10\.101\)/,
    ));

  test('no default route is waited for, and the interface found when it comes', async () => {
    await host.must(['ip', 'route', 'del', 'default']);
    const process = agent();
    await process.waitFor(/waiting for an external interface: .*no default route/);
    await host.must(['ip', 'route', 'add', 'default', 'via', '10.10.10.1']);
    await process.waitFor(/external interface eth0 .*10\.10\.10\.101/);
    process.kill('SIGTERM');
    assert.equal((await process.exited).code, 0);
  });

  test('of two addresses on the interface the first is taken, and the other named', async () => {
    await host.must(['ip', 'address', 'add', '10.10.10.151/24', 'dev', 'eth0']);
    try {
      await waits(
        [],
        /external interface eth0 .*10\.10\.10\.151.*--public-ip.*address 10\.10\.10\.101/,
      );
      await waits(
        ['--public-ip=10.10.10.151'],
        /external interface eth0 .*address 10\.10\.10\.151/,
      );
    } finally {
      await host.must(['ip', 'address', 'del', '10.10.10.151/24', 'dev', 'eth0']);
    }
  });

  test('without the right to change routes it ends with 3', async () => {
    const bun = runtimePath('bun');
    assert.ok(bun !== undefined);
    const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
    const without = ['setpriv', '--bounding-set=-net_admin', '--inh-caps=-net_admin', '--'];
    const process = host.spawn('agent', [...without, bun, main, 'agent']);
    assert.equal((await process.exited).code, 3, process.lastWords());
    assert.match(process.lastWords(), /needs root or the capability CAP_NET_ADMIN/);
  });

  const configs: readonly (readonly [string, string, RegExp])[] = [
    ['broken JSON', '{"Network":', /it is not JSON/],
    [
      'a Network that is too small',
      '{"Network":"10.100.0.0/29","Backend":{"Type":"host-gw"}}',
      /Network is 10\.100\.0\.0\/29: it is too small/,
    ],
    [
      'a SubnetMin outside Network',
      '{"Network":"10.100.0.0/16","SubnetMin":"10.101.0.0","Backend":{"Type":"host-gw"}}',
      /SubnetMin is "10\.101\.0\.0": it must lie inside Network/,
    ],
    [
      'another backend',
      '{"Network":"10.100.0.0/16","Backend":{"Type":"vxlan"}}',
      /Backend\.Type is "vxlan": it must be "host-gw"/,
    ],
  ];
  for (const [what, config, sentence] of configs) {
    test(`a config with ${what} is named, and the corrected one taken without a restart`, async () => {
      await etcdctl('put', `${PREFIX}/config`, config);
      const process = agent();
      await process.waitFor(sentence);
      await etcdctl('put', `${PREFIX}/config`, GOOD);
      await process.waitFor('ready');
      process.kill('SIGTERM');
      assert.equal((await process.exited).code, 0);
    });
  }

  const lease = (ip: string): string => JSON.stringify({ PublicIP: ip, BackendType: 'host-gw' });
  const hostile: readonly (readonly [string, string, RegExp])[] = [
    ['10.100.9.0-24', '{"PublicIP":', /10\.100\.9\.0-24/],
    ['0.0.0.0-0', lease('10.10.10.102'), /0\.0\.0\.0-0 .*outside Network/],
    ['10.10.10.0-24', lease('10.10.10.102'), /10\.10\.10\.0-24 .*outside Network/],
    ['10.100.8.0-25', lease('10.10.10.102'), /10\.100\.8\.0-25 has length 25/],
    ['10.100.7.0-24', lease('10.99.0.1'), /10\.100\.7\.0-24 .*not on-link/],
    ['10.100.6.0-24', lease('127.0.0.1'), /10\.100\.6\.0-24 .*loopback/],
    ['10.100.5.0-24', lease('224.0.0.1'), /10\.100\.5\.0-24 .*multicast/],
    ['10.100.4.0-24', lease('10.10.10.255'), /10\.100\.4\.0-24 .*broadcast/],
    ['nonsense', lease('10.10.10.102'), /nonsense/],
  ];

  test('bad leases get one sentence each and no route, while an honest one is served', async () => {
    await etcdctl('put', `${PREFIX}/config`, GOOD);
    const before = await routes();
    for (const [name, value] of hostile) await etcdctl('put', `${PREFIX}/subnets/${name}`, value);
    await etcdctl('put', `${PREFIX}/subnets/10.100.20.0-24`, lease('10.10.10.102'));
    const process = agent();
    await process.waitFor('subnet added: 10.100.20.0/24 via 10.10.10.102');
    for (const [, , sentence] of hostile) await process.waitFor(sentence);
    const ours = '10.100.20.0/24 via 10.10.10.102 dev eth0 proto 104';
    const after = (await routes()).split('\n').filter((line) => !line.startsWith(ours));
    assert.equal(after.join('\n'), before);
    process.kill('SIGTERM');
    assert.equal((await process.exited).code, 0);
  });

  test('a foreign route in the way is named and stays', async () => {
    await etcdctl('put', `${PREFIX}/config`, GOOD);
    await etcdctl('put', `${PREFIX}/subnets/10.100.20.0-24`, lease('10.10.10.102'));
    const foreign = '10.100.20.0/24 via 10.10.10.1 dev eth0 proto static';
    await host.must(['ip', 'route', 'add', ...foreign.split(' ')]);
    const process = agent();
    await process.waitFor(/peer 10\.100\.20\.0\/24 .* is conflict: .*10\.10\.10\.1/);
    assert.ok((await routes()).includes(foreign));
    await host.must(['ip', 'route', 'del', ...foreign.split(' ')]);
    await process.waitFor('subnet added: 10.100.20.0/24 via 10.10.10.102');
    process.kill('SIGTERM');
    assert.equal((await process.exited).code, 0);
  });
});
