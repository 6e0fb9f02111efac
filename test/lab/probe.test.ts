import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parsePing, parseTraceroute } from '../../src/lab/index.ts';

describe('what ping says', () => {
  test('BusyBox and iputils are read alike', () => {
    const busybox = '64 bytes from 10.100.2.2: seq=0 ttl=62 time=0.178 ms\n';
    const iputils = '64 bytes from 10.100.3.2: icmp_seq=1 ttl=63 time=12 ms\n';
    assert.deepEqual(
      [...parsePing(busybox + iputils).values()],
      [
        { from: '10.100.2.2', ttl: 62, ms: 0.178 },
        { from: '10.100.3.2', ttl: 63, ms: 12 },
      ],
    );
  });

  test('an error that a router sends is no reply', () => {
    const said =
      'From 10.10.10.1 icmp_seq=1 Destination Host Unreachable\n1 packets transmitted, 0 received';
    assert.equal(parsePing(said).size, 0);
  });
});

describe('what traceroute says', () => {
  test('hops come with address and time, a silent one with neither', () => {
    const said =
      'traceroute to 10.100.2.2 (10.100.2.2), 6 hops max, 46 byte packets\n 1  10.100.1.1  0.010 ms\n 2  *\n 3  10.100.2.2  0.031 ms\n';
    assert.deepEqual(parseTraceroute(said), [
      { hop: 1, address: '10.100.1.1', ms: 0.01 },
      { hop: 2, address: undefined, ms: undefined },
      { hop: 3, address: '10.100.2.2', ms: 0.031 },
    ]);
  });
});
