/** `hostgw plan` on a host with real etcd and a real kernel: what it prints, and that nothing has changed. */
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
import { until } from '../support/until.ts';
import { CONFIG_A, nth, READY } from './recipe.ts';

const skip = needs('root', 'ip', 'unshare', 'setpriv', 'nsenter', 'etcd', 'etcdctl') ?? false;
const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const ENDPOINT = '--etcd-endpoints=http://10.10.10.101:2379';
const CONFIG_KEY = '/coreos.com/network/config';
const lease = (ip: string): string => `{"PublicIP":"${ip}","BackendType":"host-gw"}`;

describe('hostgw plan', { skip, timeout: 180_000 }, () => {
  let lab: Lab;
  let host: Host;
  let etcd: LabEtcd;

  const plan = (...words: string[]) =>
    host.run([runtimePath('bun') ?? '', MAIN, 'plan', ENDPOINT, '--route-driver=ip', ...words], {
      timeoutMs: 20_000,
    });
  const put = (key: string, ip: string): Promise<void> =>
    etcd.put(`/coreos.com/network/subnets/${key}`, lease(ip));
  /** All that a dry run must not touch. */
  const everything = async (): Promise<unknown> => [
    await host.must(['ip', 'route', 'show', 'table', 'all']),
    await host.must(['sh', '-c', 'ls -lR /run/flannel /var/lib/hostgw; nft list ruleset 2>&1']),
    await host.must(['cat', '/proc/sys/net/ipv4/ip_forward']),
    [...(await etcd.list('/'))],
  ];

  before(async () => {
    lab = await openLab({ ...recipeA(2), ipForward: false });
    host = nth(lab.hosts, 0);
    etcd = await startEtcd(host);
  });
  after(() => lab.close());
  const started: LabProcess[] = [];
  afterEach(async () => {
    for (const agent of started.splice(0)) {
      agent.kill('SIGKILL');
      await agent.exited;
    }
  });
  beforeEach(async () => {
    const del = [
      'env',
      'ETCDCTL_API=3',
      'etcdctl',
      `--endpoints=${etcd.endpoint}`,
      'del',
      '--prefix',
      '/',
    ];
    await host.must(del);
    await host.must(['ip', 'route', 'flush', 'root', '10.100.0.0/16']);
    await host.must(['sh', '-c', 'rm -rf /var/lib/hostgw/* /run/flannel/*']);
  });

  const addRoutes = async (...routes: string[]): Promise<void> => {
    for (const route of routes) await host.must(['ip', 'route', 'add', ...route.split(' ')]);
  };
  /** A network, five leases of which one is no good, and routes of every kind. */
  const scene = async (): Promise<void> => {
    await etcd.put(CONFIG_KEY, CONFIG_A);
    await put('10.100.20.0-24', '10.10.10.102');
    await put('10.100.21.0-24', '10.10.10.103');
    await put('10.100.22.0-24', '10.10.10.104');
    await put('10.100.23.0-24', '192.0.2.1');
    await put('10.100.24.0-24', '10.10.10.105');
    await addRoutes(
      '10.100.21.0/24 via 10.10.10.103 proto boot',
      '10.100.22.0/24 via 10.10.10.99 proto 104',
      '10.100.30.0/24 via 10.10.10.99 proto 104 metric 7',
      '10.100.24.0/24 via 10.10.10.98 proto static',
    );
  };

  test('says why there is none while etcd is not there, and with what exit code', async () => {
    const { code, stdout, stderr } = await plan(
      '--etcd-endpoints=http://10.10.10.101:1',
      '--timeout=1',
    );
    assert.equal(code, 1);
    assert.equal(stdout, '');
    assert.match(stderr, /^hostgw plan: no plan within 1 s .* refused the connection/);
  });

  test('says that the agent would wait where there is no network config', async () => {
    const { code, stdout } = await plan();
    assert.equal(code, 0);
    assert.match(stdout, /# own subnet not known: waiting for the network config in etcd key/);
    assert.match(stdout, /\n# 0 to add, 0 to change, 0 to remove, 0 as they should be\n$/);
  });

  test('prints each write with its reason, and does none of it', async () => {
    await scene();
    const was = await everything();
    const { code, stdout, stderr } = await plan();
    assert.equal(code, 0, stderr);
    assert.equal(stderr, '');
    assert.deepEqual(await everything(), was);
    const lines = stdout
      .trimEnd()
      .split('\n')
      .map((line) => line.replace(/ +# /, ' # '));
    const subnet = /^# own subnet (\S+)\.0\/24, if nobody is faster$/.exec(lines[1] ?? '')?.[1];
    assert.ok(subnet?.startsWith('10.100.'), lines[1]);
    assert.deepEqual(
      lines.filter((line) => !line.startsWith('# own')),
      [
        '# routes of protocol 104 in table main',
        `# would write etcd key /coreos.com/network/subnets/${subnet}.0-24`,
        '# would write /run/flannel/subnet.env',
        'ip route add 10.100.20.0/24 via 10.10.10.102 dev eth0 proto 104 # the lease of 10.10.10.102, which has no route',
        "ip route append 10.100.21.0/24 via 10.10.10.103 dev eth0 proto 104 # takes over what flannel's proto boot says",
        'ip route del 10.100.21.0/24 via 10.10.10.103 dev eth0 proto 3 # once the new one stands',
        'ip route append 10.100.22.0/24 via 10.10.10.104 dev eth0 proto 104 # the lease of 10.10.10.104; the route was via 10.10.10.99',
        'ip route del 10.100.22.0/24 via 10.10.10.99 dev eth0 proto 104 # once the new one stands',
        'ip route del 10.100.30.0/24 via 10.10.10.99 dev eth0 proto 104 metric 7 # no lease has it',
        '# warning: no route: lease 10.100.23.0-24 has gateway 192.0.2.1, which is not on-link: no prefix of the uplink holds it',
        '# warning: peer 10.100.24.0/24 via 10.10.10.105 is conflict: Another route is in the way and left alone: via 10.10.10.98 dev eth0 proto static metric 0.',
        '# 1 to add, 2 to change, 1 to remove, 0 as they should be',
      ],
    );
  });

  test('prints commands that do just what the agent would do', async () => {
    await scene();
    const { stdout } = await plan('--route-metrics=spread', '--route-src=10.10.10.101');
    const commands = stdout.split('\n').filter((line) => line.startsWith('ip '));
    assert.equal(commands.length, 6);
    await host.must(['sh', '-ec', commands.join('\n')]);
    const again = await plan('--route-metrics=spread', '--route-src=10.10.10.101');
    assert.match(again.stdout, /\n# 0 to add, 0 to change, 0 to remove, 3 as they should be\n$/);
  });

  test('runs beside an agent, and has nothing to change', async () => {
    await scene();
    const agent = host.spawnAgent({ args: [ENDPOINT] });
    started.push(agent);
    await agent.waitFor(READY);
    await agent.waitForAll('subnet added: ', 3);
    // The last thing that an agent writes once it stands.
    await until(
      'its view is on disk',
      async () => (await host.readFile('/var/lib/hostgw/view.json')) !== undefined,
    );
    const was = await everything();
    const { code, stdout } = await plan();
    assert.equal(code, 0);
    assert.match(stdout, /^# own subnet 10\.100\.\d+\.0\/24$/m);
    assert.match(stdout, /\n# 0 to add, 0 to change, 0 to remove, 3 as they should be\n$/);
    assert.ok(!stdout.includes('would write'), stdout);
    assert.deepEqual(await everything(), was);
    assert.equal(agent.exit, undefined);
  });

  test('tells of a mass loss that it would be held', async () => {
    await etcd.put(CONFIG_KEY, CONFIG_A);
    const routes = Array.from(
      { length: 8 },
      (_, i) => `10.100.4${i}.0/24 via 10.10.10.99 proto 104`,
    );
    await addRoutes(...routes);
    const { code, stdout } = await plan();
    assert.equal(code, 0);
    assert.match(stdout, /# 8 of 8 peers are gone at once: their routes would be held for 600 s/);
    assert.ok(!stdout.includes('ip route del'), stdout);
  });

  test('names a source that is not ours and a VRF that is not there, and exits with 3', async () => {
    const source = await plan('--route-src=10.10.10.9');
    assert.equal(source.code, 3);
    assert.match(
      source.stderr,
      /--route-src is 10\.10\.10\.9, which is no address of this host: name one of .*10\.10\.10\.101/,
    );
    const table = await plan('--route-table=blue');
    assert.equal(table.code, 3);
    assert.match(table.stderr, /--route-table is blue: there is no VRF device blue/);
    const link = await plan('--route-table=eth0');
    assert.match(link.stderr, /--route-table is eth0: eth0 is no VRF device/);
    assert.equal((await plan('--route-metrics=7')).code, 2);
  });
});
