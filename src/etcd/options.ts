/**
 * How to reach the cluster: the options a person gives, checked and read once.
 * Whatever is wrong here is wrong for good, so it is a RangeError at the start, never a retry.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';

export interface EtcdOptions {
  /** `http://HOST:PORT` or `https://HOST:PORT`, at least one. */
  readonly endpoints: readonly string[];
  /** PEM file of the authorities that sign the servers' certificates. Default: the system's. */
  readonly caFile?: string;
  /** PEM file of our certificate, and of its key: both or neither. */
  readonly certFile?: string;
  readonly keyFile?: string;
  /** Both or neither. */
  readonly username?: string;
  readonly password?: string;
}

/** One member's address, taken apart. */
export interface EndpointAddress {
  /** Scheme, host and port: what people are shown. */
  readonly url: string;
  readonly secure: boolean;
  /** `HOST:PORT`, with brackets around an IPv6 address. */
  readonly target: string;
  /** The host if it is an IP address, which a certificate must name as such. */
  readonly ip: string | undefined;
}

/** PEM texts, read once. */
export interface Certificates {
  readonly ca: Buffer | null;
  readonly cert: Buffer | null;
  readonly key: Buffer | null;
}

export interface Login {
  readonly username: string;
  readonly password: string;
}

/** The options after checking. */
export interface Access {
  readonly endpoints: readonly [EndpointAddress, ...EndpointAddress[]];
  readonly certificates: Certificates;
  readonly login: Login | undefined;
}

const FORM = 'expected http://HOST:PORT or https://HOST:PORT';
const URL_SHAPE = /^(https?):\/\/(\[[^\]]*\]|[^/:@?#[\]]+):(\d{1,5})\/?$/i;
const HOST_NAME = /^[a-z0-9_]([a-z0-9_.-]{0,252})$/i;

/** @throws RangeError that names the endpoint and the expected form; a URL with credentials is not repeated. */
export function parseEndpoint(text: string): EndpointAddress {
  if (text.includes('@')) {
    throw new RangeError(
      `an etcd endpoint must not hold a user or password: give them as options of their own; ${FORM}`,
    );
  }
  const match = URL_SHAPE.exec(text.trim());
  const [, scheme = '', host = '', port = ''] = match ?? [];
  const bare = host.startsWith('[') ? host.slice(1, -1) : host;
  const hostFits = host.startsWith('[')
    ? isIP(bare) === 6 && !bare.includes('%')
    : isIP(bare) === 4 || (HOST_NAME.test(bare) && !/^[\d.]+$/.test(bare));
  if (match === null || !hostFits || Number(port) < 1 || Number(port) > 65_535) {
    throw new RangeError(`etcd endpoint ${JSON.stringify(text)}: ${FORM}`);
  }
  return {
    url: `${scheme.toLowerCase()}://${host}:${Number(port)}`,
    secure: scheme.toLowerCase() === 'https',
    target: `${host}:${Number(port)}`,
    ip: isIP(bare) === 0 ? undefined : bare,
  };
}

function readPem(file: string | undefined, what: string): Buffer | null {
  if (file === undefined) return null;
  let pem: Buffer;
  try {
    pem = readFileSync(file);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    const why =
      { ENOENT: 'no such file', EACCES: 'permission denied', EISDIR: 'it is a folder' }[code] ??
      code;
    throw new RangeError(`cannot read the ${what} for etcd, ${file}: ${why}`);
  }
  if (!pem.includes('-----BEGIN ')) {
    throw new RangeError(`the ${what} for etcd, ${file}, is no PEM file`);
  }
  return pem;
}

function toCertificate(pem: Buffer, what: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch {
    throw new RangeError(`${what}, holds no certificate that can be read`);
  }
}

function toKey(pem: Buffer, what: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch {
    throw new RangeError(
      `${what}, holds no private key that can be read; it must not be encrypted`,
    );
  }
}

function readCertificates(options: EtcdOptions): Certificates {
  const { caFile, certFile, keyFile } = options;
  if ((certFile === undefined) !== (keyFile === undefined)) {
    const [given, missing] =
      keyFile === undefined ? ['certificate', 'key'] : ['key', 'certificate'];
    throw new RangeError(
      `a client ${given} for etcd was given (${certFile ?? keyFile}) without its ${missing}`,
    );
  }
  const ca = readPem(caFile, 'CA file');
  const cert = readPem(certFile, 'client certificate');
  const key = readPem(keyFile, 'client key');
  if (ca) toCertificate(ca, `the CA file for etcd, ${caFile}`);
  if (cert && key) {
    const certificate = toCertificate(cert, `the client certificate for etcd, ${certFile}`);
    if (!certificate.checkPrivateKey(toKey(key, `the client key for etcd, ${keyFile}`))) {
      throw new RangeError(
        `the client certificate for etcd, ${certFile}, and the key, ${keyFile}, do not belong together`,
      );
    }
  }
  return { ca, cert, key };
}

/** Checks everything that can be wrong without asking the cluster. @throws RangeError, one clear sentence. */
export function checkOptions(options: EtcdOptions): Access {
  const [first, ...rest] = [...new Set(options.endpoints)].map(parseEndpoint);
  if (first === undefined) throw new RangeError(`no etcd endpoint was given: ${FORM}`);
  const { username, password } = options;
  if ((username === undefined) !== (password === undefined)) {
    throw new RangeError('etcd user and password must be given together');
  }
  if (username === '') throw new RangeError('the etcd user is empty');
  return {
    endpoints: [first, ...rest],
    certificates: readCertificates(options),
    login: username === undefined || password === undefined ? undefined : { username, password },
  };
}
