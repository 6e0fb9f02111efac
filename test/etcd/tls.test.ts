/** TLS on each runtime, by address and by name: what is right works, what is wrong is said as it is. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { run } from '../../src/core/index.ts';
import { type Certificates, makeCertificates } from '../support/certificates.ts';
import { startEtcd, type TestEtcd } from '../support/etcd.ts';
import { needs } from '../support/needs.ts';
import { until } from '../support/until.ts';

const program = fileURLToPath(new URL('./smoke.ts', import.meta.url));
const bin = (name: string): string =>
  fileURLToPath(new URL(`../../node_modules/.bin/${name}`, import.meta.url));

describe('etcd behind TLS', { skip: needs('etcd', 'openssl') ?? false }, () => {
  let pem: Certificates;
  let server: TestEtcd;
  let nameless: TestEtcd;
  const right = () => ({
    caFile: pem.file('ca.crt'),
    certFile: pem.file('client.crt'),
    keyFile: pem.file('client.key'),
  });
  const start = (name: string): Promise<TestEtcd> =>
    startEtcd({
      scheme: 'https',
      args: [
        ...['--cert-file', pem.file(`${name}.crt`), '--key-file', pem.file(`${name}.key`)],
        ...['--client-cert-auth', '--trusted-ca-file', pem.file('ca.crt')],
      ],
    });
  /** Whether it answers at all, be it that its certificate is for another. */
  const listens = (etcd: TestEtcd): Promise<void> =>
    until('etcd listens', () =>
      etcd
        .open(right())
        .get('/')
        .then(
          () => true,
          (error: unknown) => !/refused the connection/.test(String(error)),
        ),
    );

  before(async () => {
    pem = await makeCertificates();
    [server, nameless] = await Promise.all([start('server'), start('nameless')]);
    await Promise.all([listens(server), listens(nameless)]);
  });
  after(async () => {
    await Promise.all([server.stop(), nameless.stop()]);
    pem.remove();
  });

  for (const [name, args] of [
    ['bun', ['run']],
    ['deno', ['run', '-A']],
    ['node', []],
  ] as const) {
    const options = {
      skip: existsSync(bin(name)) ? false : `needs ${name}`,
      timeout: 180_000,
    };
    const say = async (host: string, port: number, files: object): Promise<string> => {
      const endpoint = `https://${host}:${port}`;
      const words = [...args, program, endpoint, `${name}-${host}`, JSON.stringify(files)];
      const { stdout, stderr } = await run(bin(name), words, { timeoutMs: 60_000 });
      return `${stdout}${stderr}`;
    };

    for (const host of ['127.0.0.1', 'localhost']) {
      test(
        `on ${name} with the right certificates, at ${host}, all verbs work`,
        options,
        async () => {
          assert.equal(await say(host, server.port, right()), 'done\n');
        },
      );

      test(
        `on ${name} a certificate that is not for ${host} is named as that`,
        options,
        async () => {
          assert.match(await say(host, nameless.port, right()), /not for this name or address/);
        },
      );
    }

    test(
      `on ${name} a wrong authority and a missing client certificate are told apart`,
      options,
      async () => {
        const { caFile, ...mine } = right();
        const stranger = { ...mine, caFile: pem.file('stranger.crt') };
        assert.match(await say('127.0.0.1', server.port, stranger), /an authority we trust/);
        assert.match(await say('127.0.0.1', server.port, { caFile }), /client certificate/);
      },
    );
  }
});
