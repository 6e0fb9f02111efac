/**
 * What rooms log through: sentences with fields, no format, no sink. The agent gives the real one,
 * tests give a collecting one. Secrets never enter a sentence (design.md, 10).
 */

export type LogFields = Readonly<Record<string, string | number | boolean>>;

export interface Log {
  debug(sentence: string, fields?: LogFields): void;
  info(sentence: string, fields?: LogFields): void;
  warn(sentence: string, fields?: LogFields): void;
  error(sentence: string, fields?: LogFields): void;
}
