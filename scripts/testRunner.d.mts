export function runTests(options: {
  /** The program that runs `bun test`. */
  readonly bun: string;
  /** Files, folders, or a part of a path; none: all but the long ones. */
  readonly paths?: readonly string[];
  /** More variables for the tests. */
  readonly env?: Readonly<Record<string, string>>;
  /** The folder that has `test/`; a test gives its own. */
  readonly root?: string;
  /** After so many milliseconds a file is ended. */
  readonly fileMs?: number;
  /** What takes the report; default standard output. */
  readonly write?: (text: string) => void;
}): Promise<number>;
