/**
 * What could move a terminal's cursor, change what it shows or break a line in two: control characters of both
 * sets, line and paragraph separators, and those that reorder text so that it reads as something else. Names of
 * files and text from a bucket may hold any of them.
 */
const UNPRINTABLE = /[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** The text in one line that is safe to show: what {@link UNPRINTABLE} matches as `\n`, `\xNN` or `\u{NNNN}`. */
export function printable(text: string): string {
  return text.replaceAll(UNPRINTABLE, escapeCharacter);
}

function escapeCharacter(character: string): string {
  if (character === '\n') return '\\n';
  const code = character.charCodeAt(0);
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
}
