/** Foreign text made fit for a log line: printable ASCII only, and short. */

const CHARACTERS_MAX = 80;

/**
 * `text` with everything but printable ASCII escaped, cut after 80 characters with its length said.
 * The result shares no memory with `text`: an engine's substring would keep a whole megabyte alive.
 */
export function printable(text: string): string {
  let out = '';
  for (let at = 0; at < Math.min(text.length, CHARACTERS_MAX); at++) {
    const code = text.charCodeAt(at);
    if (code >= 0x20 && code <= 0x7e) out += String.fromCharCode(code);
    else out += `\\u${code.toString(16).padStart(4, '0')}`;
  }
  return text.length <= CHARACTERS_MAX ? out : `${out}... (${text.length} characters)`;
}
