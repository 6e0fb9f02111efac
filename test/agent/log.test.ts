import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type LogOptions, openLog } from '../../src/agent/log.ts';

function lines(
  options: Partial<LogOptions>,
  say: (log: ReturnType<typeof openLog>) => void,
): string[] {
  const written: string[] = [];
  const log = openLog({
    format: 'text',
    verbosity: 0,
    secrets: [],
    wall: () => Date.UTC(2026, 0, 2, 3, 4, 5),
    write: (text) => written.push(text),
    journal: false,
    ...options,
  });
  say(log);
  return written;
}

// One log for the process: these tests replace it in turn, synchronously.
describe('the log', () => {
  test('writes a line with time, level, sentence and fields', () => {
    const written = lines({}, (log) =>
      log.warn('peer is off-link', { peer: '10.1.2.0/24', tries: 3 }),
    );
    assert.deepEqual(written, [
      '2026-01-02T03:04:05.000Z warn  peer is off-link peer=10.1.2.0/24 tries=3\n',
    ]);
  });

  test('gives systemd its priorities and no time', () => {
    assert.deepEqual(
      lines({ journal: true }, (log) => log.error('lost')),
      ['<3>lost\n'],
    );
  });

  test('writes JSON that can be read back', () => {
    const [line = ''] = lines({ format: 'json' }, (log) => log.info('ready', { peers: 2 }));
    assert.deepEqual(JSON.parse(line), {
      time: '2026-01-02T03:04:05.000Z',
      level: 'info',
      message: 'ready',
      peers: 2,
    });
  });

  test('tells why only when asked to', () => {
    const say = (log: ReturnType<typeof openLog>): void => log.debug('because');
    assert.equal(lines({}, say).length, 0);
    assert.equal(lines({ verbosity: 1 }, say).length, 1);
  });

  test('shows no secret, in no format, nor credentials in a URL', () => {
    for (const format of ['text', 'json'] as const) {
      const text = lines({ format, secrets: ['s3cr(t', 'a"b\\c'], verbosity: 9 }, (log) => {
        log.error('password s3cr(t is wrong', { password: 's3cr(t' });
        log.error('password a"b\\c is wrong');
        log.info('endpoint https://root:hunter2@etcd:2379 refused', { at: 'http://u:hunter2@e' });
      }).join('');
      assert.ok(
        !text.includes('s3cr(t') && !/a\\*"b/.test(text) && !text.includes('hunter2'),
        text,
      );
      assert.ok(text.includes('[redacted]'));
    }
  });

  test('a hostile sentence stays one line and is no template', () => {
    const written = lines({}, (log) => log.info('key {level}\n2026 error forged \u001b[2J', {}));
    assert.equal(written.length, 1);
    assert.match(written[0] ?? '', /info {2}key \{level\} 2026 error forged {2}\[2J\n$/);
  });
});
