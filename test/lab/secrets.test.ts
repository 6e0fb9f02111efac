/** An agent at its most talkative, through right and wrong passwords, TLS and an etcd that dies: no secret in a word of it. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { type Host, type Lab, type LabProcess, openLab, recipeA } from '../../src/lab/index.ts';
import { type Certificates, makeCertificates } from '../support/certificates.ts';
import { needs } from '../support/needs.ts';
import { until } from '../support/until.ts';
import { CONFIG_A, nth, READY } from './recipe.ts';

const tools = ['root', 'ip', 'unshare', 'setpriv', 'nsenter', 'etcd', 'etcdctl', 'openssl'];
const skip = needs(...tools) ?? false;
const ENDPOINT = 'https://127.0.0.1:2379';
const PASSWORD = 'S3cret "of" hostgw/%41+x';
const WRONG = 'Wr0ng "of" hostgw/%41+x';

describe('what an agent says at its most verbose', { skip }, () => {
  let lab: Lab;
  let host: Host;
  let pem: Certificates;
  let etcd: LabProcess;
  const said: string[] = [];

  before(async () => {
    lab = await openLab(recipeA(1));
    host = nth(lab.hosts, 0);
    pem = await makeCertificates();
    etcd = startEtcd();
    await etcd.waitFor(/ready to serve|serving client/i);
    const ask = (...args: string[]) => etcdctl([], ...args);
    await until('etcd answers', async () => (await ask('get', '/')).code === 0, 20_000);
    for (const words of [
      ['put', '/coreos.com/network/config', CONFIG_A],
      ['user', 'add', 'root:r'],
      ['user', 'grant-role', 'root', 'root'],
      ['user', 'add', `hostgw:${PASSWORD}`],
      ['role', 'add', 'hostgw'],
      ['role', 'grant-permission', 'hostgw', '--prefix=true', 'readwrite', '/coreos.com/network/'],
      ['user', 'grant-role', 'hostgw', 'hostgw'],
      ['auth', 'enable'],
    ]) {
      const { code, stderr } = await ask(...words);
      assert.equal(code, 0, `${words.join(' ')}: ${stderr}`);
    }
  });
  after(async () => {
    await lab.close();
    pem.remove();
  });

  function startEtcd(): LabProcess {
    return host.spawn('etcd', [
      ...['etcd', '--data-dir', '/run/etcd'],
      ...['--listen-client-urls', ENDPOINT, '--advertise-client-urls', ENDPOINT],
      ...['--cert-file', pem.file('server.crt'), '--key-file', pem.file('server.key')],
      ...['--client-cert-auth', '--trusted-ca-file', pem.file('ca.crt')],
    ]);
  }

  const etcdctl = (more: string[], ...args: string[]) =>
    host.run([
      ...['env', 'ETCDCTL_API=3', 'etcdctl', `--endpoints=${ENDPOINT}`],
      ...[`--cacert=${pem.file('ca.crt')}`, `--cert=${pem.file('client.crt')}`],
      ...[`--key=${pem.file('client.key')}`, ...more, ...args],
    ]);

  /** Runs an agent until it has said `word`, then does `more`; keeps every line of it. */
  async function hear(
    word: string | RegExp,
    flags: readonly string[],
    more: (agent: LabProcess) => Promise<void> = async () => {},
  ): Promise<void> {
    const agent = host.spawnAgent({
      args: [
        ...[`--etcd-cafile=${pem.file('ca.crt')}`, `--etcd-certfile=${pem.file('client.crt')}`],
        ...[`--etcd-keyfile=${pem.file('client.key')}`, '--etcd-username=hostgw', '-v=100'],
        ...['--healthz-ip=127.0.0.1', '--healthz-port=8471', ...flags],
      ],
    });
    await agent.waitFor(word);
    await more(agent);
    const readyz = await host.run(['busybox', 'wget', '-qO-', 'http://127.0.0.1:8471/readyz']);
    said.push(readyz.stdout, readyz.stderr);
    agent.kill('SIGTERM');
    await agent.exited;
    said.push(...agent.lines.map(({ text }) => text));
  }

  const right = [`--etcd-endpoints=${ENDPOINT}`, `--etcd-password=${PASSWORD}`];

  test('holds no password, no key and no credentials of a URL', { timeout: 120_000 }, async () => {
    await hear(READY, right, async (agent) => {
      etcd.kill('SIGKILL');
      await etcd.exited;
      await agent.waitFor(/refused the connection|cut|unreachable/);
      etcd = startEtcd();
      await agent.waitFor(/answers again/, 30_000);
    });
    await hear(/"ready"/, [...right, '--log-format=json']);
    await hear(/refused the user or password/, [
      `--etcd-endpoints=${ENDPOINT}`,
      `--etcd-password=${WRONG}`,
    ]);
    const url = `--etcd-endpoints=https://hostgw:${encodeURIComponent(PASSWORD)}@127.0.0.1:2379`;
    await hear(/must not hold a user or password/, [url, `--etcd-password=${PASSWORD}`]);
    await hear(/without --etcd-username|given together/, [...right, '--etcd-username=']);

    const text = said.join('\n');
    assert.ok(said.length > 30, text);
    const key = readFileSync(pem.file('client.key'), 'utf8');
    const secrets = [
      ...[PASSWORD, WRONG].flatMap((password) => [
        password,
        password.slice(0, 6),
        encodeURIComponent(password),
        JSON.stringify(password).slice(1, -1),
        Buffer.from(password).toString('base64').slice(0, 12),
      ]),
      ...key.split('\n').filter((line) => line.length > 20 && !line.startsWith('-----')),
    ];
    assert.ok(secrets.length > 11);
    for (const secret of secrets) assert.ok(!text.includes(secret), `${secret}\n${text}`);
  });
});
