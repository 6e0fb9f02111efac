/**
 * Turns whatever gRPC says into an EtcdError: a kind, because the cure differs, and one sentence
 * that names the endpoint and what to do. Never a password or a token.
 */
import { EtcdError, type EtcdErrorKind } from './types.ts';

/** What a failed gRPC call carries: its status code and the text that came with it. */
interface Status {
  readonly code: number;
  readonly text: string;
}

// The gRPC status codes that are told apart (grpc/grpc, statuscodes.md).
const CANCELLED = 1;
const UNKNOWN = 2;
const DEADLINE_EXCEEDED = 4;
const PERMISSION_DENIED = 7;
const OUT_OF_RANGE = 11;
const INTERNAL = 13;
const UNAVAILABLE = 14;
const UNAUTHENTICATED = 16;

/** The server's own sentences (etcd, api/v3rpc/rpctypes/error.go): a sentence says more than its code. */
const SERVER_SAYS: readonly (readonly [RegExp, EtcdErrorKind])[] = [
  [/etcdserver: (no leader|leader changed|not leader)/, 'no-leader'],
  [/etcdserver: request timed out/, 'timeout'],
  [/etcdserver: authentication failed|user name is empty|invalid auth token/, 'authentication'],
  [/etcdserver: (revision of auth store is old|invalid auth management)/, 'authentication'],
  [/etcdserver: permission denied/, 'permission'],
  [/database space exceeded/, 'no-space'],
  [/required revision has been compacted/, 'compacted'],
  [/etcdserver: server stopped/, 'unreachable'],
];

// OpenSSL (Node, Deno), BoringSSL (Bun) and rustls (Deno) each have their own words for a handshake that failed.
const TLS_SAYS =
  /certificate|altnames|\bssl\b|\btls\b|self[- ]signed|handshake|ERR_TLS|ERR_SSL|UnknownIssuer|NotValidForName|EPROTO|wrong version number|UNABLE_TO_|DEPTH_ZERO|issuer/i;
const NAME_SAYS =
  /altnames|ERR_TLS_CERT_ALTNAME_INVALID|NotValidForName|does not match|hostname mismatch/i;
const CLIENT_CERT_SAYS =
  /certificate.?required|bad.?certificate|handshake.?failure|alert number (42|40|116)|unknown.?ca\b|CertificateRequired/i;
const ISSUER_SAYS =
  /self[- ]signed|unable to (verify|get)|UNABLE_TO_|DEPTH_ZERO|UnknownIssuer|issuer/i;
// With TLS 1.3 a server refuses our certificate after our side of the handshake: at times its alert is lost in the reset.
const CUT_IN_HANDSHAKE_SAYS =
  /^No connection established.*(EPIPE|ECONNRESET|socket hang up|closed)/i;
const REFUSED_SAYS = /ECONNREFUSED|connection refused/i;
const NAME_NOT_FOUND_SAYS = /name resolution failed|ENOTFOUND|EAI_AGAIN|getaddrinfo/i;

/** Reads code and text off an unknown error, whatever runtime or layer threw it. */
function statusOf(error: unknown): Status {
  if (!(error instanceof Error)) return { code: UNKNOWN, text: String(error) };
  const code = 'code' in error && typeof error.code === 'number' ? error.code : UNKNOWN;
  const details = 'details' in error && typeof error.details === 'string' ? error.details : '';
  return { code, text: details || error.message };
}

function kindOf({ code, text }: Status, url: string): EtcdErrorKind {
  for (const [says, kind] of SERVER_SAYS) if (says.test(text)) return kind;
  if (code === PERMISSION_DENIED) return 'permission';
  if (code === UNAUTHENTICATED) return 'authentication';
  if (code === DEADLINE_EXCEEDED) return 'timeout';
  if (text.startsWith('etcdserver: ') || code === OUT_OF_RANGE) return 'other';
  if (REFUSED_SAYS.test(text)) return 'refused';
  if (TLS_SAYS.test(text)) return 'tls';
  if (isSecure(url) && CUT_IN_HANDSHAKE_SAYS.test(text)) return 'tls';
  // INTERNAL and UNKNOWN are how a dropped connection arrives on some runtimes (Deno: `13 INTERNAL EPIPE`).
  if ([CANCELLED, UNKNOWN, INTERNAL, UNAVAILABLE].includes(code)) return 'unreachable';
  return 'other';
}

function tlsSentence(text: string): string {
  if (NAME_SAYS.test(text)) {
    return 'its certificate is not for this name or address: use a name that the certificate holds, or add this one to it';
  }
  if (/expired|CertExpired/i.test(text)) return 'its certificate has expired';
  if (ISSUER_SAYS.test(text)) {
    return 'its certificate is not signed by an authority we trust: give the right CA file';
  }
  if (/wrong.version.number|packet length too long/i.test(text)) {
    return 'it does not speak TLS: is the endpoint http:// rather than https://?';
  }
  if (CLIENT_CERT_SAYS.test(text)) {
    return 'it did not accept our client certificate, or we gave none: give a certificate and key that it trusts';
  }
  if (CUT_IN_HANDSHAKE_SAYS.test(text)) {
    return 'it cut the connection in the TLS handshake: it may want a client certificate and key that it trusts';
  }
  return `the TLS handshake failed (${brief(text)})`;
}

function isSecure(url: string): boolean {
  return url.startsWith('https:');
}

/** One line, bounded: an error's text may hold anything. */
function brief(text: string): string {
  const line = text
    .replace(/^No connection established\. Last error: (Error: )?/, '')
    .replace(/( \(\d{4}-\d\d-\d\dT[\d:.]+Z\))?\.? Resolution note:.*$/s, '')
    .replace(/\s+/g, ' ')
    .trim();
  return line.length > 160 ? `${line.slice(0, 160)}...` : line;
}

function sentence(kind: EtcdErrorKind, text: string, url: string): string {
  switch (kind) {
    case 'refused':
      return `etcd at ${url} refused the connection: is it running and listening there?`;
    case 'unreachable':
      return NAME_NOT_FOUND_SAYS.test(text)
        ? `etcd at ${url}: the host name cannot be resolved: check the name and the DNS`
        : `etcd at ${url} cannot be reached (${brief(text)}): check the network, a firewall and that it runs`;
    case 'tls':
      return `etcd at ${url}: ${tlsSentence(text)}`;
    case 'authentication':
      return /user name is empty/.test(text)
        ? `etcd at ${url} wants a user and password: give them`
        : `etcd at ${url} refused the user or password: check them`;
    case 'permission':
      return `etcd at ${url} does not permit this to our user: give its role read and write on the prefix`;
    case 'no-leader':
      return `etcd at ${url} has no leader: too few members of the cluster are up or can reach each other`;
    case 'timeout':
      return `etcd at ${url} did not answer in time: it is overloaded, stopped or cut off`;
    case 'no-space':
      return `etcd at ${url} is out of space (alarm NOSPACE) and takes no new keys: compact and defragment it, then etcdctl alarm disarm`;
    case 'compacted':
      return `etcd at ${url} has compacted the history that was asked for`;
    case 'other':
      return `etcd at ${url}: ${brief(text)}`;
  }
}

/** `error` as an EtcdError of the member at `url`; one that is an EtcdError already stays as it is. */
export function toEtcdError(error: unknown, url: string): EtcdError {
  if (error instanceof EtcdError) return error;
  const status = statusOf(error);
  const kind = kindOf(status, url);
  return new EtcdError(kind, sentence(kind, status.text, url), { cause: error });
}

/** No answer within its deadline. */
export function timeoutError(url: string): EtcdError {
  return new EtcdError('timeout', sentence('timeout', '', url));
}

/** Failures after which another member, or a new connection, may do better. */
export function isOfTheEndpoint(error: EtcdError): boolean {
  return ['refused', 'unreachable', 'tls', 'no-leader', 'timeout'].includes(error.kind);
}
