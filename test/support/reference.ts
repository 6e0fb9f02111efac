/** What our own etcd messages are held against: the .proto files of the npm client etcd3, and that client's raw calls. */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { Etcd3, type IOptions } from 'etcd3';

/** One method's messages by etcd3's .proto files: 64-bit numbers as decimal text, bytes as Buffer, every field there. */
export interface ReferenceMethod {
  requestDeserialize(bytes: Buffer): object;
  responseSerialize(answer: object): Buffer;
}

type Fields = Record<string, { readonly type: string; readonly id: number }>;

/** A protobufjs namespace as JSON. */
interface Namespace {
  readonly fields?: Fields;
  readonly nested?: Record<string, Namespace>;
}

interface ProtoLoader {
  fromJSON(json: Namespace, options: object): Record<string, Record<string, ReferenceMethod>>;
}

interface Protobuf {
  Root: new () => { loadSync(file: string, options: object): { toJSON(): Namespace } };
}

// The packages that etcd3 itself uses, wherever npm has put them.
const ofEtcd3 = createRequire(createRequire(import.meta.url).resolve('etcd3/package.json'));
const ofLoader = createRequire(ofEtcd3.resolve('@grpc/proto-loader'));

/** The protocol as etcd3 reads it, each message with the `extras` that its numbers leave room for; `method('KV', 'Range')`. */
export function loadReference(
  extras: Fields = {},
): (service: string, method: string) => ReferenceMethod {
  const file = join(dirname(ofEtcd3.resolve('etcd3/package.json')), 'proto', 'rpc.proto');
  const protobuf: Protobuf = ofLoader('protobufjs');
  const loader: ProtoLoader = ofEtcd3('@grpc/proto-loader');
  // As etcd3 itself has them read and written.
  const options = { keepCase: true, longs: String, enums: String, defaults: true, oneofs: true };
  const json = withExtras(new protobuf.Root().loadSync(file, options).toJSON(), extras);
  const services = loader.fromJSON(json, options);
  return (service, method) => {
    const found = services[`etcdserverpb.${service}`]?.[method];
    if (found === undefined) throw new Error(`the reference has no ${service}.${method}`);
    return found;
  };
}

function withExtras({ fields, nested, ...rest }: Namespace, extras: Fields): Namespace {
  const inside = Object.entries(nested ?? {}).map(([name, one]) => [name, withExtras(one, extras)]);
  const taken = new Set(Object.values(fields ?? {}).map(({ id }) => id));
  const free = Object.entries(extras).filter(([, { id }]) => !taken.has(id));
  return {
    ...rest,
    ...(fields && { fields: { ...fields, ...Object.fromEntries(free) } }),
    ...(nested && { nested: Object.fromEntries(inside) }),
  };
}

/** etcd3's client without its fault handling: a call is one call. Ends with `close()`, after its streams. */
export function openReference(endpoint: string): Etcd3 {
  type Policy = ReturnType<NonNullable<NonNullable<IOptions['faultHandling']>['host']>>;
  const { noop }: { readonly noop: Policy } = ofEtcd3('cockatiel');
  const faultHandling = { host: () => noop, global: noop };
  return new Etcd3({ hosts: endpoint, faultHandling });
}
