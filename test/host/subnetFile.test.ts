import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { ensureForwarding } from '../../src/host/index.ts';
import {
  formatSubnetFile,
  parseSubnetFile,
  readSubnetFile,
  type SubnetFile,
  writeSubnetFile,
} from '../../src/host/subnetFile.ts';
import { type Prefix, parsePrefix, prefixOf, v4, v6 } from '../../src/ip/index.ts';
import { needs } from '../support/needs.ts';
import { child, ended, source } from './child.ts';

const prefix = (text: string): Prefix => parsePrefix(text) ?? assert.fail(text);
const v4Only: SubnetFile = {
  v4: { network: prefix('10.100.0.0/16'), subnet: prefix('10.100.3.0/24') },
  v6: undefined,
  mtu: 1500,
  ipMasq: false,
};
const dual: SubnetFile = {
  ...v4Only,
  v6: { network: prefix('fd00:1::/48'), subnet: prefix('fd00:1:0:2::/64') },
  ipMasq: true,
};
let folder = '';
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'hostgw-host-'));
});
after(() => rmSync(folder, { recursive: true }));

describe('the subnet file', () => {
  test('is flannel’s, to the byte', () => {
    assert.equal(
      formatSubnetFile(v4Only),
      'FLANNEL_NETWORK=10.100.0.0/16\nFLANNEL_SUBNET=10.100.3.1/24\nFLANNEL_MTU=1500\nFLANNEL_IPMASQ=false\n',
    );
    assert.equal(
      formatSubnetFile(dual),
      'FLANNEL_NETWORK=10.100.0.0/16\nFLANNEL_SUBNET=10.100.3.1/24\n' +
        'FLANNEL_IPV6_NETWORK=fd00:1::/48\nFLANNEL_IPV6_SUBNET=fd00:1:0:2::1/64\n' +
        'FLANNEL_MTU=1500\nFLANNEL_IPMASQ=true\n',
    );
  });

  test('gives back every subnet that was written', () => {
    const subnets4 = fc
      .tuple(fc.integer({ min: 0, max: 2 ** 32 - 1 }), fc.integer({ min: 8, max: 30 }))
      .map(([value, length]) => prefixOf(v4(value), length));
    const subnets6 = fc
      .tuple(fc.bigInt({ min: 0n, max: 2n ** 128n - 1n }), fc.integer({ min: 16, max: 126 }))
      .map(([value, length]) => prefixOf(v6(value), length));
    fc.assert(
      fc.property(subnets4, subnets6, (subnet, subnet6) => {
        const text = formatSubnetFile({
          ...dual,
          v4: { network: subnet, subnet },
          v6: { network: subnet6, subnet: subnet6 },
        });
        const read = parseSubnetFile(text);
        assert.equal(read.subnet?.text, subnet.text);
        assert.equal(read.subnet6?.text, subnet6.text);
      }),
    );
  });

  for (const [text, subnet] of [
    ['export FLANNEL_SUBNET="10.100.3.1/24"\r\n', '10.100.3.0/24'],
    ["# mine\n FLANNEL_SUBNET = '10.100.3.1/24' # was .4\n", '10.100.3.0/24'],
    ['FLANNEL_SUBNET=10.1.0.1/24\nFLANNEL_SUBNET=10.2.0.1/24', '10.2.0.0/24'],
    ['FLANNEL_SUBNET=10.100.3.1', undefined],
    ['FLANNEL_SUBNET=fd00::1/64', undefined],
    ['FLANNEL_SUBNET=10.100.3.1/99', undefined],
    ['NOT_FLANNEL_SUBNET=10.100.3.1/24', undefined],
    ['\u0000\u0001FLANNEL_SUBNET', undefined],
    ['', undefined],
  ] as const) {
    test(`${JSON.stringify(text)} names ${subnet ?? 'no subnet'}`, () => {
      assert.equal(parseSubnetFile(text).subnet?.text, subnet);
    });
  }

  test('is written with its folder, for all to read, and only when it differs', async () => {
    const path = join(folder, 'a/b/subnet.env');
    assert.equal((await readSubnetFile(path)).subnet, undefined);
    const mask = process.umask(0o077);
    try {
      assert.equal(await writeSubnetFile(path, v4Only), true);
    } finally {
      process.umask(mask);
    }
    assert.equal(statSync(path).mode & 0o777, 0o644);
    const { ino } = statSync(path);
    assert.equal(await writeSubnetFile(path, v4Only), false);
    assert.equal(statSync(path).ino, ino);
    assert.equal(await writeSubnetFile(path, dual), true);
    assert.equal((await readSubnetFile(path)).subnet6?.text, 'fd00:1:0:2::/64');
  });

  test('is never half there for a reader, and leaves no temporary files', async () => {
    const path = join(folder, 'busy/subnet.env');
    await writeSubnetFile(path, v4Only);
    const versions = Array.from({ length: 30 }, (_, index) => ({ ...v4Only, mtu: 1400 + index }));
    const writes = Promise.all(versions.map((file) => writeSubnetFile(path, file)));
    for (let reads = 0; reads < 100; reads++) {
      assert.match(
        readFileSync(path, 'utf8'),
        /^FLANNEL_NETWORK=.*\n(.*\n)+FLANNEL_IPMASQ=false\n$/,
      );
      await new Promise((resolve) => setImmediate(resolve));
    }
    await writes;
    assert.deepEqual(readdirSync(join(folder, 'busy')), ['subnet.env']);
  });

  test('that cannot be written is one sentence', async () => {
    writeFileSync(join(folder, 'file'), '');
    await assert.rejects(writeSubnetFile(join(folder, 'file/subnet.env'), v4Only), {
      message: /^The subnet file .*file\/subnet\.env cannot be written: E(NOTDIR|EXIST)/,
    });
    assert.equal(existsSync(join(folder, 'file/subnet.env')), false);
  });
});

describe('forwarding', () => {
  test('that cannot be turned on names the command', async () => {
    const none = { sysctl: join(folder, 'no-proc'), routes6: join(folder, 'no-routes') };
    for (const [family, key] of [
      [4, 'net/ipv4/ip_forward'],
      [6, 'net/ipv6/conf/all/forwarding'],
    ] as const) {
      const outcome = await ensureForwarding('eth0.100', [family], none);
      assert.equal(outcome.kind, 'failed');
      assert.match(JSON.stringify(outcome), new RegExp(`ENOENT.*run \`sysctl -w ${key}=1\``));
    }
  });

  test('of IPv6 keeps what a router announced, on that interface and no other', async () => {
    const root = join(folder, 'sys');
    const routes6 = join(folder, 'ipv6_route');
    // As a real RA left them: a prefix on the link, the link-local one, and a default route by ra0 alone.
    const route = (prefix: string, flags: string, name: string): string =>
      `${prefix} 40 ${'0'.repeat(32)} 00 ${'0'.repeat(32)} 00000100 00000001 00000000 ${flags} ${name.padStart(8)}\n`;
    writeFileSync(
      routes6,
      route('20010db8000700000000000000000000', '004c0001', 'ra0') +
        route('00000000000000000000000000000000', '00450003', 'ra0') +
        route('fe800000000000000000000000000000', '00000001', 'docker0'),
    );
    const put = (key: string, value: string): void => {
      mkdirSync(dirname(join(root, key)), { recursive: true });
      writeFileSync(join(root, key), value);
    };
    const all = 'net/ipv6/conf/all/forwarding';
    put(all, '0\n');
    for (const name of ['ra0', 'docker0']) put(`net/ipv6/conf/${name}/accept_ra`, '1\n');
    const outcome = await ensureForwarding('ra0', [6], { sysctl: root, routes6 });
    assert.match(
      JSON.stringify(outcome),
      /^{"kind":"on","changes":\["Set [^"]*ra0\/accept_ra to 2/,
    );
    const now = ['ra0/accept_ra', 'docker0/accept_ra', 'all/forwarding'].map((key) =>
      readFileSync(join(root, 'net/ipv6/conf', key), 'utf8').trim(),
    );
    assert.deepEqual(now, ['2', '1', '1']);
    const again = await ensureForwarding('ra0', [6], { sysctl: root, routes6 });
    assert.deepEqual(again, { kind: 'on', changes: [] });
  });

  test('is turned on for host and uplink where it is off', {
    skip: needs('root', 'unshare'),
  }, async () => {
    const code = `
      import { ensureForwarding } from '${source('host/forwarding.ts')}';
      import { readFileSync, writeFileSync } from 'node:fs';
      const first = await ensureForwarding('lo', [4]);
      const second = await ensureForwarding('lo', [4]);
      writeFileSync('/proc/sys/net/ipv4/conf/lo/forwarding', '0');
      const third = await ensureForwarding('lo', [4]);
      const now = readFileSync('/proc/sys/net/ipv4/conf/lo/forwarding', 'utf8').trim();
      const six = await ensureForwarding('lo', [6]);
      const again = await ensureForwarding('lo', [4, 6]);
      console.log(JSON.stringify([first, second, third, now, six, again]));`;
    const { stdout } = await ended(child(code, ['unshare', '--net']));
    assert.deepEqual(JSON.parse(stdout), [
      { kind: 'on', changes: ['Turned net/ipv4/ip_forward on: it was off.'] },
      { kind: 'on', changes: [] },
      { kind: 'on', changes: ['Turned net/ipv4/conf/lo/forwarding on: it was off.'] },
      '1',
      { kind: 'on', changes: ['Turned net/ipv6/conf/all/forwarding on: it was off.'] },
      { kind: 'on', changes: [] },
    ]);
  });
});
