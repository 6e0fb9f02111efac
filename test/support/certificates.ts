/** Certificates for a TLS test, made by openssl in a folder of their own: an authority, a server, a client, a stranger. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '../../src/core/index.ts';

export interface Certificates {
  /** The path of `NAME.crt` or `NAME.key`: ca, stranger (another authority), server, nameless, client, foreign. */
  file(name: string): string;
  remove(): void;
}

export async function makeCertificates(): Promise<Certificates> {
  const folder = mkdtempSync(join(tmpdir(), 'hostgw-tls-'));
  const file = (name: string): string => join(folder, name);
  const openssl = async (...args: string[]): Promise<void> => {
    const { code, stderr } = await run('openssl', args);
    if (code !== 0) throw new Error(`openssl ${args.join(' ')}: ${stderr}`);
  };
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const authority = (name: string): Promise<void> =>
    openssl(
      ...['req', '-x509', ...key, '-days', '2', '-subj', `/CN=${name}`],
      ...['-keyout', file(`${name}.key`), '-out', file(`${name}.crt`)],
    );
  const signed = async (name: string, by: string, names: string): Promise<void> => {
    writeFileSync(
      file(`${name}.ext`),
      `subjectAltName=${names}\nextendedKeyUsage=serverAuth,clientAuth\n`,
    );
    await openssl(
      ...['req', ...key, '-subj', `/CN=${name}`],
      ...['-keyout', file(`${name}.key`), '-out', file(`${name}.csr`)],
    );
    await openssl(
      ...['x509', '-req', '-in', file(`${name}.csr`), '-days', '2', '-CAcreateserial'],
      ...['-CA', file(`${by}.crt`), '-CAkey', file(`${by}.key`)],
      ...['-extfile', file(`${name}.ext`), '-out', file(`${name}.crt`)],
    );
  };
  await authority('ca');
  await authority('stranger');
  await signed('server', 'ca', 'IP:127.0.0.1,DNS:localhost');
  await signed('nameless', 'ca', 'IP:192.0.2.1,DNS:elsewhere.example');
  await signed('client', 'ca', 'DNS:client');
  await signed('foreign', 'stranger', 'DNS:client');
  return { file, remove: () => rmSync(folder, { recursive: true, force: true }) };
}
