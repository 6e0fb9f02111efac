import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import {
  findEtcd,
  type Host,
  type Lab,
  type LabProcess,
  openLab,
  recipeA,
} from '../../src/lab/index.ts';
import { needs } from '../support/needs.ts';

const skip = needs('root', 'ip', 'unshare', 'setpriv', 'nsenter', 'etcd', 'etcdctl') ?? false;
const skipDocker = skip || (needs('dockerd', 'containerd', 'docker', 'iptables') ?? false);

const project = fileURLToPath(new URL('../..', import.meta.url));
const readme = readFileSync(`${project}/README.md`, 'utf8');

/** The shell block of one step of the recipe for real hosts, as a reader would copy it. */
function block(step: string): string {
  const recipe = readme.slice(
    readme.indexOf('## Run it for real'),
    readme.indexOf('## What it promises'),
  );
  const text = /```sh\n([\s\S]*?)```/.exec(recipe.slice(recipe.indexOf(`**${step}**`)))?.[1];
  assert.ok(text !== undefined, `the recipe has a block for ${step}`);
  return text.replace(/^ {3}/gm, '');
}

describe("the README's recipe for real hosts, word for word", { skip }, () => {
  let lab: Lab;
  let hosts: readonly Host[];
  let agents: LabProcess[];

  // As on a fresh host: Bun is only where the recipe's own first step puts it.
  const plain = (process.env['PATH'] ?? '')
    .split(':')
    .filter((dir) => !dir.includes('node_modules'));
  const etcdFolder = findEtcd();
  const env = { PATH: [...(etcdFolder ? [dirname(etcdFolder)] : []), ...plain].join(':') };
  const onPath = block('hostgw').match(/^export PATH=.*$/m)?.[0] ?? '';
  const shell = (host: Host, name: string, text: string, folder = project): LabProcess =>
    host.spawn(name, ['sh', '-c', `mkdir -p ${folder} && cd ${folder} && ${text}`], env);
  const first = (): Host => {
    const [host] = hosts;
    assert.ok(host !== undefined);
    return host;
  };

  before(async () => {
    lab = await openLab(recipeA(4));
    hosts = lab.hosts;
    const etcd = shell(first(), 'etcd', block('etcd'), '/run/etcd');
    await etcd.waitFor(/ready to serve client requests/);
    agents = hosts.map((host) =>
      shell(host, `agent on ${host.name}`, `${onPath}\n${block('The agent')}`),
    );
    await Promise.all(agents.map((agent) => agent.waitFor('waiting for the network config')));
    const [, second = first()] = hosts;
    const put = shell(second, 'etcdctl', block('The network'));
    assert.equal((await put.exited).code, 0, put.lastWords());
  });
  after(() => lab.close());

  test('gives every host a subnet and a route to each other host', async () => {
    await Promise.all(agents.map((agent) => agent.waitFor('ready')));
    for (const [index, agent] of agents.entries()) {
      for (let other = 0; other < hosts.length; other += 1) {
        const gateway = hosts[other]?.address;
        if (other !== index) await agent.waitFor(new RegExp(`subnet added: .* via ${gateway}`));
      }
      const check = shell(hosts[index] ?? first(), 'check', block('Check'));
      await check.exited;
      assert.equal(check.lines.length, 3, check.lastWords());
      for (const { text } of check.lines) {
        assert.match(text, /^10\.100\.\d+\.0\/24 via 10\.10\.10\.10\d dev eth0\s*$/);
      }
    }
  });

  test('starts Docker on the leased subnet', { skip: skipDocker, timeout: 180_000 }, async () => {
    const host = first();
    const docker = shell(host, 'dockerd', block('Docker'), '/run/docker-test');
    await docker.waitFor(/API listen on/);
    const subnet = (await host.subnetFile())?.['FLANNEL_SUBNET'];
    assert.ok(subnet !== undefined);
    const address = await host.must(['ip', 'address', 'show', 'docker0']);
    assert.match(address, new RegExp(`inet ${subnet} `));
    // The engine ends with the lab.
  });
});
