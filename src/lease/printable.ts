/** Foreign text made fit for a log line: printable ASCII only, and short. */

const CHARACTERS_MAX = 80;
/** What is hardly longer stays whole: so what was cut before, with its length said, is not cut again. */
const UNCUT_MAX = 112;

/**
 * `text` with everything but printable ASCII escaped, cut after 80 characters, if it is much longer, with its length said.
 * The result shares no memory with `text`: an engine's substring would keep a whole megabyte alive.
 */
export function printable(text: string): string {
  const kept = text.length <= UNCUT_MAX ? text.length : CHARACTERS_MAX;
  let out = '';
  for (let at = 0; at < kept; at++) {
    const code = text.charCodeAt(at);
    if (code >= 0x20 && code <= 0x7e) out += String.fromCharCode(code);
    else out += `\\u${code.toString(16).padStart(4, '0')}`;
  }
  return kept === text.length ? out : `${out}... (${text.length} characters)`;
}
