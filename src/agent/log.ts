/**
 * The agent's log: one line a message on standard error, as text or JSON, with syslog priorities under systemd.
 * No secret passes: those given are replaced wherever they stand, as are credentials in URLs.
 */
import {
  configureSync,
  getLogger,
  type LogLevel,
  type LogRecord,
  resetSync,
} from '@logtape/logtape';
import { type RedactionPattern, redactByPattern } from '@logtape/redaction';
import type { Log, LogFields } from '../core/index.ts';

export interface LogOptions {
  readonly format: 'text' | 'json';
  /** As -v: 0 tells what happened, 1 and above also why. */
  readonly verbosity: number;
  /** Texts that must never be shown. */
  readonly secrets: readonly string[];
  /** Milliseconds since the epoch. */
  readonly wall: () => number;
  readonly write: (text: string) => void;
  /** Whether systemd's journal reads us: then each line starts with its priority and has no time of its own. */
  readonly journal: boolean;
}

/** sd-daemon(3): what the journal reads at the start of a line. */
const PRIORITY: Partial<Record<LogLevel, string>> = {
  debug: '<7>',
  info: '<6>',
  warning: '<4>',
  error: '<3>',
};

/** Opens the process's one log; a second call replaces the first. */
export function openLog(options: LogOptions): Log {
  const format = redactByPattern(
    options.format === 'json' ? jsonLine : options.journal ? journalLines : textLine,
    patterns(options.secrets),
  );
  resetSync();
  configureSync({
    sinks: { out: (record: LogRecord) => options.write(format(record)) },
    loggers: [
      { category: 'hostgw', sinks: ['out'], lowestLevel: options.verbosity > 0 ? 'debug' : 'info' },
      { category: ['logtape', 'meta'], sinks: [] },
    ],
  });
  const logger = getLogger('hostgw');
  // emit() and not info(): a brace in a sentence must not be read as a placeholder.
  const at =
    (level: LogLevel) =>
    (sentence: string, fields: LogFields = {}): void => {
      // Not even handed on: of thousands of peers each has a few such lines.
      if (level === 'debug' && options.verbosity === 0) return;
      logger.emit({
        level,
        message: [sentence],
        rawMessage: sentence,
        properties: fields,
        timestamp: options.wall(),
      });
    };
  return { debug: at('debug'), info: at('info'), warn: at('warning'), error: at('error') };
}

function patterns(secrets: readonly string[]): RedactionPattern[] {
  // JSON writes a quote or a backslash in another way.
  const literal = secrets
    .flatMap((secret) => [secret, JSON.stringify(secret).slice(1, -1)])
    .filter((secret) => secret !== '')
    .map((secret) => ({
      pattern: new RegExp(escapeRegExp(secret), 'g'),
      replacement: '[redacted]',
    }));
  return [...literal, { pattern: /:\/\/[^/@\s"']+@/g, replacement: '://[redacted]@' }];
}

const escapeRegExp = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

const sentenceOf = (record: LogRecord): string => record.message.join('');

function fieldsOf(record: LogRecord): string {
  return Object.entries(record.properties)
    .map(([name, value]) => ` ${name}=${String(value)}`)
    .join('');
}

function textLine(record: LogRecord): string {
  const level = record.level === 'warning' ? 'warn' : record.level;
  const time = new Date(record.timestamp).toISOString();
  return `${time} ${level.padEnd(5)} ${oneLine(sentenceOf(record) + fieldsOf(record))}\n`;
}

function journalLines(record: LogRecord): string {
  return `${PRIORITY[record.level] ?? '<6>'}${oneLine(sentenceOf(record) + fieldsOf(record))}\n`;
}

function jsonLine(record: LogRecord): string {
  return `${JSON.stringify({
    time: new Date(record.timestamp).toISOString(),
    level: record.level === 'warning' ? 'warn' : record.level,
    message: sentenceOf(record),
    ...record.properties,
  })}\n`;
}

// A line break or an escape sequence in a key or value of etcd must not forge a line of its own.
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const oneLine = (text: string): string => text.replace(/[\x00-\x1f\x7f-\x9f]+/g, ' ');
