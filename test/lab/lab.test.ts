import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import {
  type Container,
  type Host,
  type Lab,
  openLab,
  recipeA,
  recipeB,
  runtimePath,
  startDocker,
  startEtcd,
  startPlainContainer,
  watchRoutes,
} from '../../src/lab/index.ts';
import { needs } from '../support/needs.ts';
import { until } from '../support/until.ts';
import { isGone, leftCgroups } from './remains.ts';
import { standInRoutes, standInSubnet } from './stand-in.ts';

const skip = needs('root', 'ip', 'unshare', 'setpriv', 'nsenter') ?? false;
const skipEtcd = skip || (needs('etcd') ?? false);
const skipDocker =
  skip || (needs('dockerd', 'docker', 'containerd', 'busybox', 'iptables') ?? false);
const skipPing = skip || (needs('busybox') ?? false);

async function withLab(
  options: Parameters<typeof openLab>[0],
  use: (lab: Lab, hosts: Host[]) => Promise<void>,
): Promise<void> {
  const lab = await openLab(options);
  try {
    await use(lab, [...lab.hosts]);
  } finally {
    await lab.close();
  }
}

function nth<T>(list: readonly T[], index: number): T {
  const item = list[index];
  assert.ok(item !== undefined, `item ${index} is there`);
  return item;
}

/** Every ordered pair pings; gives the ttl of each reply. */
async function ttls(containers: readonly Container[]): Promise<number[]> {
  const found = await Promise.all(
    containers.map(async (from) => {
      const others = containers.filter((other) => other !== from).map((other) => other.address);
      return [...(await from.ping(others)).values()].map((reply) => reply.ttl);
    }),
  );
  return found.flat();
}

describe('a lab', { skip }, () => {
  let lab: Lab;
  before(async () => {
    if (!skip) lab = await openLab({ ...recipeB(), ipForward: true });
  });
  after(async () => {
    await lab?.close();
  });

  test('gives each host its address, its default route and nothing else', { skip }, async () => {
    const routes = await nth(lab.hosts, 1).must(['ip', 'route']);
    assert.deepEqual(
      routes
        .trim()
        .split('\n')
        .map((line) => line.trim()),
      [
        'default via 172.17.42.1 dev eth0',
        '172.17.0.0/16 dev eth0 proto kernel scope link src 172.17.42.43',
      ],
    );
  });

  test('gives each host a /run, a state folder and a sysfs of its own', { skip }, async () => {
    const [one, two] = [nth(lab.hosts, 0), nth(lab.hosts, 1)];
    for (const folder of ['/run/flannel', '/run/hostgw', '/var/lib/hostgw', '/var/lib/docker']) {
      await one.must(['sh', '-c', `echo one >${folder}/mark`]);
      assert.equal(await one.readFile(`${folder}/mark`), 'one\n');
      assert.equal(await two.readFile(`${folder}/mark`), undefined);
      assert.ok(!existsSync(`${folder}/mark`), `${folder} of the machine is untouched`);
    }
    assert.deepEqual((await one.must(['ls', '/sys/class/net'])).trim().split('\n'), ['eth0', 'lo']);
  });

  test('starts hosts with the forwarding that was asked for, whatever the machine has', {
    skip,
  }, async () => {
    const path = '/proc/sys/net/ipv4/ip_forward';
    assert.equal(await nth(lab.hosts, 0).must(['cat', path]), '1\n');
    await withLab(recipeA(2), async (_other, hosts) => {
      assert.equal(await nth(hosts, 0).must(['cat', path]), '0\n');
    });
  });

  test('knows the names that the recipe gives', { skip }, async () => {
    assert.match(
      await nth(lab.hosts, 1).must(['getent', 'hosts', 'etcd-server']),
      /^172\.17\.42\.41\s/,
    );
  });

  test('says which command failed where, and why', { skip }, async () => {
    await assert.rejects(
      nth(lab.hosts, 0).must(['ip', 'route', 'add', '10.0.0.0/8', 'via', '203.0.113.1']),
      /ip route add .* in web1 failed .*Nexthop has invalid gateway/s,
    );
  });
});

describe('a program in a lab', () => {
  test('gets the signal itself, not the nsenter in front of it', { skip }, async () => {
    await withLab(recipeA(2), async (_lab, hosts) => {
      const script = 'trap "echo got it; exit 7" TERM; echo up; while :; do sleep 0.05; done';
      const program = nth(hosts, 0).spawn('trap', ['sh', '-c', script]);
      await program.waitFor('up');
      assert.ok(program.kill('SIGTERM'));
      assert.deepEqual(await program.exited, { code: 7, signal: null });
      await program.waitFor('got it');
      assert.equal(program.kill('SIGTERM'), false);
    });
  });

  test('that ends without the awaited line is reported with its last words', { skip }, async () => {
    await withLab(recipeA(2), async (_lab, hosts) => {
      const program = nth(hosts, 0).spawn('failing', ['sh', '-c', 'echo cannot go on; exit 3']);
      await assert.rejects(program.waitFor('ready'), /failing on docker1 ended .*cannot go on/s);
      const silent = nth(hosts, 0).spawn('silent', ['sleep', '60']);
      await assert.rejects(silent.waitFor('ready', 50), /silent on docker1 went on for 50 ms/);
      const missing = nth(hosts, 0).spawn('missing', ['/no/such/program']);
      await assert.rejects(missing.waitFor('ready'), /No such file/);
    });
  });

  test('does not see what configures agents outside', { skip }, async () => {
    process.env['FLANNELD_IFACE'] = 'wrong';
    try {
      await withLab(recipeA(2), async (_lab, hosts) => {
        const program = nth(hosts, 0).spawn('env', ['sh', '-c', 'echo "iface=$FLANNELD_IFACE."']);
        assert.equal((await program.waitFor('iface=')).text, 'iface=.');
      });
    } finally {
      delete process.env['FLANNELD_IFACE'];
    }
  });
});

test('etcd answers hosts by its address, and us from outside', { skip: skipEtcd }, async () => {
  await withLab(recipeA(2), async (_lab, hosts) => {
    const etcd = await startEtcd(nth(hosts, 0));
    assert.equal(etcd.endpoint, 'http://10.10.10.101:2379');
    await etcd.put('/a/ä', '{"x":1}');
    await etcd.put('/b', 'elsewhere');
    assert.deepEqual([...(await etcd.list('/a/'))], [['/a/ä', '{"x":1}']]);
    const probe = `exec 3<>/dev/tcp/10.10.10.101/2379 && printf 'GET /version HTTP/1.0\\r\\n\\r\\n' >&3 && cat <&3`;
    assert.match(await nth(hosts, 1).must(['bash', '-c', probe]), /etcdserver/);
  });
});

test('a route watch sees what the kernel does, and when the last peer has its route', {
  skip,
}, async () => {
  await withLab(recipeA(3), async (_lab, hosts) => {
    const host = nth(hosts, 0);
    const watch = await watchRoutes(host);
    assert.deepEqual(watch.changes(), []);
    const added = watch.added(2);
    await host.must(['ip', 'route', 'add', '10.100.2.0/24', 'via', '10.10.10.102']);
    await assert.rejects(
      watch.added(2, 50),
      /docker1 has routes to 1 of 2 peers .* 10\.100\.2\.0\/24/,
    );
    await host.must(['ip', 'route', 'add', '10.100.3.0/24', 'via', '10.10.10.103']);
    await added;
    await host.must(['ip', 'route', 'del', '10.100.3.0/24']);
    await until('the removal is seen', () => watch.changes().some((line) => /Deleted/.test(line)));
    await watch.stop();
  });
});

test('plain containers ping each other over hand-made routes, through both hosts', {
  skip: skipPing,
}, async () => {
  await withLab(recipeA(3), async (_lab, hosts) => {
    await assert.rejects(startPlainContainer(nth(hosts, 0), 'early'), /no subnet file/);
    await standInSubnet(hosts);
    await standInRoutes(hosts);
    const containers = await Promise.all(
      hosts.map((host, index) => startPlainContainer(host, `c${index + 1}`)),
    );
    assert.deepEqual(await ttls(containers), Array(6).fill(62));
    const path = await nth(containers, 0).traceroute(nth(containers, 1).address);
    assert.deepEqual(
      path?.map((hop) => hop.address),
      ['10.100.1.1', '10.10.10.102', '10.100.2.2'],
    );
    await nth(hosts, 1).must(['ip', 'route', 'del', '10.100.3.0/24']);
    assert.equal((await nth(containers, 1).ping(['10.100.3.2'])).size, 0, 'no route, no reply');
  });
});

for (const ipForward of [false, true]) {
  const policy = ipForward ? 'ACCEPT' : 'DROP';
  test(`a Docker engine that finds ip_forward ${Number(ipForward)} leaves FORWARD at ${policy}; containers run`, {
    skip: skipDocker,
  }, async () => {
    await withLab({ ...recipeA(2), ipForward }, async (lab, hosts) => {
      await standInSubnet(hosts);
      await standInRoutes(ipForward ? hosts : []);
      const engines = await Promise.all(hosts.map((host) => startDocker(lab.nest, host)));
      const chain = await nth(hosts, 0).must(['iptables', '-S', 'FORWARD']);
      assert.match(chain, new RegExp(`^-P FORWARD ${policy}`));
      const containers = await Promise.all(
        engines.map((engine, index) => engine.startContainer(`c${index + 1}`)),
      );
      assert.deepEqual(
        containers.map((container) => container.address),
        ['10.100.1.2', '10.100.2.2'],
      );
      if (!ipForward) {
        await standInRoutes(hosts);
        for (const host of hosts) {
          await host.must(['iptables', '-I', 'DOCKER-USER', '-i', 'eth0', '-j', 'ACCEPT']);
        }
      }
      assert.deepEqual(await ttls(containers), [62, 62]);
    });
    assert.deepEqual(leftCgroups(`hostgw-lab-${process.pid}-`), []);
  });
}

const owners: ChildProcess[] = [];

describe('after kill -9 of its owner', () => {
  after(() => {
    for (const owner of owners) owner.kill('SIGKILL');
  });

  for (const runtime of ['bun', 'deno', 'node'] as const) {
    test(`under ${runtime} nothing is left`, { skip: skipEtcd }, async () => {
      const { owner, pids } = await startOwner(runtime, []);
      assert.ok(pids.every((pid) => existsSync(`/proc/${pid}`)));
      owner.kill('SIGKILL');
      await until('all processes are gone', () => pids.every(isGone));
    });
  }

  test('a Docker engine, its container and their cgroups are gone too', {
    skip: skipDocker || skipEtcd,
  }, async () => {
    const { owner, pids, name } = await startOwner('bun', ['docker']);
    assert.notDeepEqual(leftCgroups(name), []);
    owner.kill('SIGKILL');
    await until('all processes are gone', () => pids.every(isGone));
    await until('no cgroup is left', () => leftCgroups(name).length === 0);
  });
});

interface Owner {
  readonly owner: ChildProcess;
  readonly name: string;
  readonly pids: number[];
}

async function startOwner(runtime: 'bun' | 'deno' | 'node', args: string[]): Promise<Owner> {
  const program = runtimePath(runtime);
  assert.ok(program, `${runtime} is installed`);
  const script = fileURLToPath(new URL('owner.ts', import.meta.url));
  const flags = runtime === 'deno' ? ['run', '-A'] : [];
  const owner = spawn(program, [...flags, script, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  owners.push(owner);
  const [text] = await once(owner.stdout, 'data');
  const { name, pids } = JSON.parse(String(text)) as { name: string; pids: number[] };
  return { owner, name, pids };
}
