import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { agentOptions, environmentName, FLAGS, fromGoSpelling } from '../../src/config/index.ts';

const none = new Map<string, string[]>();
const flags = (entries: Record<string, string[]>): Map<string, string[]> =>
  new Map(Object.entries(entries));

describe("the agent's options", () => {
  test("have flannel's defaults", () => {
    const options = agentOptions(none, {});
    assert.deepEqual(options.etcdEndpoints, ['http://127.0.0.1:4001', 'http://127.0.0.1:2379']);
    assert.equal(options.etcdPrefix, '/coreos.com/network');
    assert.equal(options.subnetFile, '/run/flannel/subnet.env');
    assert.equal(options.forwardRules, true);
    assert.equal(options.renewMarginMs, 3_600_000);
  });

  test('name a table by number or VRF, and a source in each family', () => {
    const table = (word: string) => agentOptions(flags({ 'route-table': [word] }), {}).routeTable;
    assert.deepEqual(['main', '254', '1', '4294967295', 'blue'].map(table), [
      254,
      254,
      1,
      4_294_967_295,
      'blue',
    ]);
    const sources = (...words: string[]) =>
      agentOptions(flags({ 'route-src': words }), {}).routeSources.map(({ text }) => text);
    assert.deepEqual(sources('10.0.0.1', 'fd00::1'), ['10.0.0.1', 'fd00::1']);
    assert.deepEqual(sources('fd00::1, 10.0.0.1'), ['fd00::1', '10.0.0.1']);
    assert.deepEqual(sources(), []);
    const { routeMetrics, dryRun, timeoutMs } = agentOptions(none, {});
    assert.deepEqual([routeMetrics, dryRun, timeoutMs], ['auto', false, 10_000]);
  });

  test('come from the flag before the environment before the default', () => {
    const env = {
      FLANNELD_ETCD_PREFIX: '/env',
      FLANNELD_SUBNET_FILE: '/env/file',
      FLANNELD_PUBLIC_IP: '',
    };
    const options = agentOptions(flags({ 'etcd-prefix': ['/flag/'] }), env);
    assert.equal(options.etcdPrefix, '/flag');
    assert.equal(options.subnetFile, '/env/file');
    assert.equal(options.publicIp, undefined);
  });

  test('a regular expression with a comma stays whole, endpoints are split', () => {
    const options = agentOptions(
      flags({ 'iface-regex': ['eth[0-9]{1,2}'], 'etcd-endpoints': ['http://a:1, http://b:2'] }),
      {},
    );
    assert.deepEqual(options.ifaceRegex, ['eth[0-9]{1,2}']);
    assert.deepEqual(options.etcdEndpoints, ['http://a:1', 'http://b:2']);
  });

  const wrong: readonly (readonly [Record<string, string[]>, NodeJS.ProcessEnv, RegExp])[] = [
    [
      { 'healthz-port': ['70000'] },
      {},
      /^--healthz-port is "70000": it must be a whole number from 0 to 65535$/,
    ],
    [{}, { FLANNELD_HEALTHZ_PORT: 'x' }, /^FLANNELD_HEALTHZ_PORT is "x"/],
    [
      { 'route-driver': ['magic'] },
      {},
      /^--route-driver is "magic": it must be one of auto, native, ip$/,
    ],
    [
      { 'route-protocol': ['4'] },
      {},
      /^--route-protocol is "4": it must be a whole number from 5 to 255$/,
    ],
    [{ 'route-metrics': ['1'] }, {}, /^--route-metrics is "1": it must be one of auto, 0, spread$/],
    [
      { 'route-table': ['0'] },
      {},
      /^--route-table is "0": it must be a number from 1 to 4294967295, or the name of a VRF device$/,
    ],
    [{ 'route-table': ['4294967296'] }, {}, /^--route-table is "4294967296"/],
    [{}, { FLANNELD_ROUTE_TABLE: 'a name too long' }, /^FLANNELD_ROUTE_TABLE is "a name too long"/],
    [{ 'route-src': ['eth0'] }, {}, /^--route-src is "eth0": it must be an address of a host$/],
    [{ 'route-src': ['224.0.0.1'] }, {}, /^--route-src is "224.0.0.1"/],
    [
      { 'route-src': ['10.0.0.1', '10.0.0.2'] },
      {},
      /^--route-src names two IPv4 addresses: it must be one$/,
    ],
    [{ timeout: ['0'] }, {}, /^--timeout is "0": it must be a whole number from 1 to 3600$/],
    [{ 'public-ip': ['host'] }, {}, /^--public-ip is "host": it must be an IPv4 address$/],
    [{ 'healthz-ip': ['nonsense'] }, {}, /^--healthz-ip is "nonsense": it must be an IP address$/],
    [{ 'etcd-prefix': ['net'] }, {}, /^--etcd-prefix is "net": it must be an etcd key/],
    [{ 'etcd-certfile': ['a'] }, {}, /belong together/],
    [{ 'iface-regex': ['('] }, {}, /^--iface-regex is "\(": it must be a regular expression$/],
    [
      { 'iptables-forward-rules': ['maybe'] },
      {},
      /^--iptables-forward-rules is "maybe": it must be true or false$/,
    ],
    [
      { 'ip-masq': ['true'] },
      {},
      /^--ip-masq=true is refused: this version of hostgw does not do that$/,
    ],
    [
      { 'public-ipv6': ['10.0.0.1'] },
      {},
      /^--public-ipv6 is "10.0.0.1": it must be an IPv6 address$/,
    ],
    [{ 'public-ip': ['fd00::1'] }, {}, /^--public-ip is "fd00::1": it must be an IPv4 address$/],
    [{ 'iface-can-reach': ['x'] }, {}, /^--iface-can-reach is "x": it must be an IP address$/],
    [{ 'etcd-endpoints': [','] }, {}, /^--etcd-endpoints is empty/],
  ];
  for (const [given, env, expected] of wrong) {
    test(`that are wrong name place, value and rule: ${JSON.stringify({ ...given, ...env })}`, () => {
      assert.throws(
        () => agentOptions(flags(given), env),
        (error: unknown) => {
          assert.ok(error instanceof RangeError);
          assert.match(error.message, expected);
          return true;
        },
      );
    });
  }

  test('a secret is not in the error about it', () => {
    assert.throws(
      () => agentOptions(flags({ 'etcd-password': ['hunter2'] }), {}),
      (error: unknown) => error instanceof RangeError && !error.message.includes('hunter2'),
    );
  });

  test("false is taken where the function is not built, and glog's leftovers are", () => {
    agentOptions(flags({ 'ip-masq': ['false'], logtostderr: ['true'], vmodule: ['x=1'] }), {});
  });

  test('each flag has its environment variable', () => {
    assert.ok(FLAGS.map(environmentName).includes('FLANNELD_ETCD_ENDPOINTS'));
    assert.ok(FLAGS.map(environmentName).includes('FLANNELD_IPTABLES_FORWARD_RULES'));
  });
});

describe("Go's spelling of flags", () => {
  const cases: readonly (readonly [string[], string[]])[] = [
    [
      ['-etcd-endpoints=http://e:2379', '-v=3'],
      ['--etcd-endpoints=http://e:2379', '--v=3'],
    ],
    [
      ['-logtostderr', '-iface', 'eth0'],
      ['--logtostderr=true', '--iface=eth0'],
    ],
    [
      ['--ip-masq', 'false'],
      ['--ip-masq=true', 'false'],
    ],
    [['--iface-regex', '-odd'], ['--iface-regex=-odd']],
    [
      ['-unknown=1', '--other'],
      ['--unknown', '--other'],
    ],
    [
      ['-h', '--help', '--version'],
      ['-h', '--help', '--version'],
    ],
    [['--iface'], ['--iface']],
    [
      ['--', '-v=3'],
      ['--', '-v=3'],
    ],
  ];
  for (const [given, expected] of cases) {
    test(given.join(' '), () => assert.deepEqual(fromGoSpelling(given), expected));
  }
});
