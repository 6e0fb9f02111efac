/** Who may talk to etcd: TLS and passwords, right and wrong, on a real etcd. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { systemClock } from '../../src/core/index.ts';
import { type Etcd, openEtcd } from '../../src/etcd/index.ts';
import { type Certificates, makeCertificates } from '../support/certificates.ts';
import { startEtcd, type TestEtcd } from '../support/etcd.ts';
import { collectingLog, silentLog } from '../support/log.ts';
import { needs } from '../support/needs.ts';
import { until } from '../support/until.ts';
import { Mirror } from './mirror.ts';

/** A server takes a moment to listen, and with TLS only a right client can ask whether it does. */
async function up(etcd: Etcd): Promise<void> {
  await until(
    'etcd answers',
    () =>
      etcd.get('/').then(
        () => true,
        () => false,
      ),
    15_000,
  );
}

describe('etcd behind TLS', { skip: needs('etcd', 'openssl') ?? false }, () => {
  let pem: Certificates;
  let server: TestEtcd;
  let nameless: TestEtcd;
  const right = () => ({
    caFile: pem.file('ca.crt'),
    certFile: pem.file('client.crt'),
    keyFile: pem.file('client.key'),
  });
  const tls = (name: string): string[] => [
    ...['--cert-file', pem.file(`${name}.crt`), '--key-file', pem.file(`${name}.key`)],
    ...['--client-cert-auth', '--trusted-ca-file', pem.file('ca.crt')],
  ];

  before(async () => {
    pem = await makeCertificates();
    server = await startEtcd({ scheme: 'https', args: tls('server') });
    nameless = await startEtcd({ scheme: 'https', args: tls('nameless') });
    await up(server.open(right()));
  });
  after(async () => {
    await server.stop();
    await nameless.stop();
    pem.remove();
  });

  test('works with the right certificates, by address and by name', async () => {
    assert.equal(await server.open(right()).get('/none'), undefined);
    const byName = server.open({ ...right(), endpoints: [`https://localhost:${server.port}`] });
    assert.equal(await byName.get('/none'), undefined);
  });

  test('a certificate of an unknown authority is told from an outage', async () => {
    const wrong = server.open({ ...right(), caFile: pem.file('stranger.crt') });
    await assert.rejects(wrong.get('/'), {
      kind: 'tls',
      message: /not signed by an authority we trust/,
    });
  });

  test('a certificate for another name or address is refused', async () => {
    await until('the other etcd listens', () =>
      nameless
        .open(right())
        .get('/')
        .then(
          () => true,
          (error: unknown) => !/refused the connection/.test(String(error)),
        ),
    );
    for (const host of ['127.0.0.1', 'localhost']) {
      const etcd = nameless.open({ ...right(), endpoints: [`https://${host}:${nameless.port}`] });
      await assert.rejects(
        etcd.get('/'),
        { kind: 'tls', message: /not for this name or address/ },
        host,
      );
    }
  });

  test('a missing or foreign client certificate is told from an outage', async () => {
    const { caFile } = right();
    const none = server.open({ caFile });
    await assert.rejects(none.get('/'), { kind: 'tls', message: /client certificate/ });
    const foreign = server.open({
      caFile,
      certFile: pem.file('foreign.crt'),
      keyFile: pem.file('foreign.key'),
    });
    await assert.rejects(foreign.get('/'), { kind: 'tls', message: /client certificate/ });
  });

  test('a certificate and a key that do not belong together are refused at the start', () => {
    assert.throws(() => server.open({ ...right(), keyFile: pem.file('server.key') }), {
      name: 'RangeError',
      message: /do not belong together/,
    });
  });
});

describe('etcd with passwords', { skip: needs('etcd') ?? false }, () => {
  let server: TestEtcd;
  const password = 'S3cret-of-hostgw';
  const login = { username: 'hostgw', password };

  before(async () => {
    // A token that lives for 2 s, so that it runs out under the test.
    server = await startEtcd({ args: ['--auth-token-ttl', '2'] });
    await server.ask('auth/user/add', { name: 'root', password: 'r' });
    await server.ask('auth/user/grant', { user: 'root', role: 'root' });
    await server.ask('auth/user/add', { name: 'hostgw', password });
    await server.ask('auth/role/add', { name: 'hostgw' });
    const range = { key: btoa('/mine/'), range_end: btoa('/mine0') };
    await server.ask('auth/role/grant', {
      name: 'hostgw',
      perm: { permType: 'READWRITE', ...range },
    });
    await server.ask('auth/user/grant', { user: 'hostgw', role: 'hostgw' });
    await server.ask('auth/enable', {});
  });
  after(() => server.stop());

  test('a wrong password is an authentication error, is not spun on, and never shown', async () => {
    const log = collectingLog();
    const etcd = openEtcd(
      { endpoints: [server.endpoint], username: 'hostgw', password: 'Wr0ng' },
      systemClock,
      Math.random,
      log,
    );
    const logins = async (): Promise<number> => {
      const metrics = await (await fetch(`${server.endpoint}/metrics`)).text();
      const found = /^grpc_server_started_total\{grpc_method="Authenticate".* (\d+)$/m.exec(
        metrics,
      );
      assert.ok(found, 'etcd counts its logins');
      return Number(found[1]);
    };
    const before = await logins();
    for (let i = 0; i < 100; i += 1) {
      await assert.rejects(etcd.get('/mine/a'), (error: Error & { kind?: string }) => {
        assert.equal(error.kind, 'authentication');
        assert.doesNotMatch(`${error.message}${JSON.stringify(error)}`, /Wr0ng/);
        return /refused the user or password/.test(error.message);
      });
    }
    const tried = (await logins()) - before;
    assert.ok(tried >= 1 && tried < 50, `${tried} logins for 100 calls`);
    assert.equal(log.lines.length, 1);
    assert.doesNotMatch(log.lines.join(), /Wr0ng/);
    await etcd.close();
  });

  test('no password where one is wanted says so', async () => {
    await assert.rejects(server.open().get('/mine/a'), {
      kind: 'authentication',
      message: /wants a user and password/,
    });
  });

  test('what the user may not do is a question of permission', async () => {
    await assert.rejects(server.open(login).list('/others/'), { kind: 'permission' });
  });

  test('a login against an etcd without authentication does no harm', async () => {
    const open = await startEtcd();
    assert.equal(await open.open(login).get('/mine/a'), undefined);
    await open.stop();
  });

  test('calls and watches outlive their token, and a restart of etcd', {
    timeout: 180_000,
  }, async () => {
    const etcd = server.open(login);
    const abort = new AbortController();
    const mirror = new Mirror();
    etcd.watch('/mine/', (item) => mirror.take(item), abort.signal);
    const put = async (key: string): Promise<void> => {
      await etcd.transact({ compare: [], writes: [{ type: 'put', key, value: '1', lease: '0' }] });
      await until(`the watch shows ${key}`, () => mirror.has(key));
    };
    await put('/mine/a');
    const expired = performance.now() + 4_000;
    await until('the token has run out', () => performance.now() > expired);
    await put('/mine/b');
    await server.restart('kept');
    await put('/mine/c');
    assert.equal(await etcd.keepAlive('42'), 0);
    abort.abort();
  });
});

describe('options that are wrong', () => {
  const open = (options: Parameters<typeof openEtcd>[0]) => () =>
    openEtcd(options, systemClock, Math.random, silentLog);

  for (const endpoint of [
    '',
    'etcd:2379',
    '10.0.0.1:2379',
    'ftp://etcd:2379',
    'http://etcd',
    'http://:2379',
    'http://etcd:0',
    'http://etcd:65536',
    'http://etcd:2379/v3',
    'http://etcd:2379?x=1',
    'http://10.0.0.256:2379',
    'http://[::1:2379',
    'http://[fe80::1%eth0]:2379',
    'http://et cd:2379',
    'http://fd00::1:2379',
  ]) {
    test(`the endpoint ${JSON.stringify(endpoint)} is refused with its name and the form`, () => {
      assert.throws(open({ endpoints: ['http://ok:2379', endpoint] }), (error: Error) => {
        assert.equal(error.name, 'RangeError');
        assert.ok(error.message.includes(JSON.stringify(endpoint)), error.message);
        return /expected http:\/\/HOST:PORT or https:\/\/HOST:PORT/.test(error.message);
      });
    });
  }

  test('endpoints that are right are taken', async () => {
    for (const endpoint of [
      'http://etcd:2379',
      'https://[fd00::1]:2379/',
      'http://10.0.0.1:4001',
    ]) {
      const etcd = open({ endpoints: [endpoint] })();
      assert.equal(etcd.status().endpoint, endpoint.replace(/\/$/, ''));
      await etcd.close();
    }
  });

  test('a password in the URL is refused and not repeated', () => {
    assert.throws(open({ endpoints: ['http://me:S3cret@etcd:2379'] }), (error: Error) => {
      assert.doesNotMatch(error.message, /S3cret|me:/);
      return error.name === 'RangeError' && /must not hold a user or password/.test(error.message);
    });
  });

  test('no endpoint, half a login, half a certificate, a file that is not there or no PEM', () => {
    const endpoints = ['https://etcd:2379'];
    for (const [options, message] of [
      [{ endpoints: [] }, /no etcd endpoint/],
      [{ endpoints, username: 'me' }, /given together/],
      [{ endpoints, certFile: '/a.crt' }, /without its key/],
      [{ endpoints, keyFile: '/a.key' }, /without its certificate/],
      [{ endpoints, caFile: '/nowhere/ca.crt' }, /cannot read .*\/nowhere\/ca\.crt: no such file/],
      [{ endpoints, caFile: '/etc/hostname' }, /\/etc\/hostname, is no PEM file/],
      [{ endpoints, caFile: '/etc' }, /it is a folder/],
    ] as const) {
      assert.throws(open(options), { name: 'RangeError', message });
    }
  });
});
