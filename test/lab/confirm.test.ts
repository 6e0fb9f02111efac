/** `hostgw confirm`: the operator's word that a mass loss is meant reaches the agent, and nobody else. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type Host, openLab, recipeA, runtimePath, startEtcd } from '../../src/lab/index.ts';
import { needs } from '../support/needs.ts';
import { until } from '../support/until.ts';
import { CONFIG_A, nth, READY } from './recipe.ts';

const skip = needs('root', 'ip', 'unshare', 'setpriv', 'nsenter', 'etcd', 'etcdctl') ?? false;
const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const ENDPOINT = 'http://10.10.10.101:2379';
const SUBNETS = '/coreos.com/network/subnets/';

const confirm = (host: Host) => host.run([runtimePath('bun') ?? '', MAIN, 'confirm']);

describe('hostgw confirm', { skip }, () => {
  test('says where no agent runs, with exit code 5', async () => {
    const lab = await openLab(recipeA(1));
    try {
      const { code, stderr } = await confirm(nth(lab.hosts, 0));
      assert.equal(code, 5);
      assert.equal(stderr, 'hostgw confirm: no agent runs in this network namespace\n');
    } finally {
      await lab.close();
    }
  });

  for (const runtime of ['bun', 'deno', 'node'] as const) {
    test(`lets go what an agent under ${runtime} holds; before that the word changes nothing`, {
      timeout: 180_000,
    }, async () => {
      const lab = await openLab(recipeA(1));
      try {
        const host = nth(lab.hosts, 0);
        const etcd = await startEtcd(host);
        await etcd.put('/coreos.com/network/config', CONFIG_A);
        for (const i of [2, 3, 4, 5])
          await etcd.put(
            `${SUBNETS}10.100.${i}.0-24`,
            `{"PublicIP":"10.10.10.${i}","BackendType":"host-gw"}`,
          );
        const agent = host.spawnAgent({ runtime, args: [`--etcd-endpoints=${ENDPOINT}`] });
        await agent.waitFor(READY);
        await agent.waitForAll('subnet added: ', 4);
        const early = await confirm(host);
        assert.equal(early.code, 0, early.stderr);
        assert.match(early.stdout, /^told the agent with pid \d+ that the loss is meant/);
        await agent.waitFor('confirmed, but nothing is held');
        const keys = Array.from({ length: 4 }, (_, i) => `del ${SUBNETS}10.100.${i + 2}.0-24\n`);
        await host.must(['env', 'ETCDCTL_API=3', 'etcdctl', `--endpoints=${ENDPOINT}`, 'txn'], {
          input: `\n${keys.join('')}\n\n`,
        });
        await agent.waitFor(/sweep-held: 4 of 4 peers are gone at once: .*hostgw confirm/);
        const routes = () => host.must(['ip', 'route', 'show', 'proto', '104']);
        assert.equal((await routes()).trim().split('\n').length, 4);
        assert.equal((await confirm(host)).code, 0);
        await agent.waitFor('confirmed: what was held goes now');
        await until('the routes are gone', async () => (await routes()) === '');
        assert.equal(agent.exit, undefined);
      } finally {
        await lab.close();
      }
    });
  }

  test('an ordinary user may not, and is told so', { timeout: 180_000 }, async () => {
    const lab = await openLab(recipeA(1));
    try {
      const host = nth(lab.hosts, 0);
      const agent = host.spawnAgent({ args: [`--etcd-endpoints=${ENDPOINT}`] });
      await agent.waitFor('external interface eth0');
      const nobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--'];
      const words = [...nobody, runtimePath('bun') ?? '', MAIN, 'confirm'];
      const { code, stderr } = await host.run(words);
      assert.equal(code, 3, stderr);
      assert.match(stderr, /its process cannot be seen from here: run this as root/);
      assert.equal(agent.exit, undefined);
    } finally {
      await lab.close();
    }
  });
});
