import { SysbackupError } from '../errors.js';

/**
 * The text rules of Python that decide what a conf means, and which JavaScript has otherwise: its `\s` and
 * `trim` know no U+001C to U+001F and no U+0085, and take U+FEFF for white space.
 */
const SPACE = '\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000';
const LEADING_SPACE = new RegExp(`^[${SPACE}]+`);
const IS_SPACE = new RegExp(`^[${SPACE}]$`);

/** Without white space at the end. */
export function stripEnd(text: string): string {
  let end = text.length;
  while (end > 0 && IS_SPACE.test(text.charAt(end - 1))) end--;
  return text.slice(0, end);
}

/** Without white space at both ends. */
export function strip(text: string): string {
  return stripEnd(text.slice(indentOf(text)));
}

/** How many characters of white space the text begins with. A tab counts as one. */
export function indentOf(text: string): number {
  return LEADING_SPACE.exec(text)?.[0].length ?? 0;
}

/** The lines of a text, which end in `\n`, `\r\n` or `\r` and in nothing else. */
export function linesOf(text: string): string[] {
  return text.split(/\r\n|\r|\n/);
}

/**
 * Decodes a conf's bytes. Throws `CONFIG` where they are no UTF-8, or begin with a byte order mark, which
 * configparser takes for a setting before the first section.
 */
export function decodeConf(bytes: Uint8Array, file: string): string {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new SysbackupError('CONFIG', `${file}:${lineOfBadByte(bytes)}: is not valid UTF-8`, {
      hint: 'Save the file as UTF-8.',
      cause,
    });
  }
  if (text.startsWith('\ufeff'))
    throw new SysbackupError('CONFIG', `${file}:1: begins with a byte order mark`, {
      hint: 'Save the file as UTF-8 without a byte order mark.',
    });
  return text;
}

function lineOfBadByte(bytes: Uint8Array): number {
  // A streaming decoder keeps an unfinished sequence for later, so the line it fails in is the bad one.
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let line = 1;
  let start = 0;
  while (start < bytes.length) {
    const newline = bytes.indexOf(0x0a, start);
    const end = newline === -1 ? bytes.length : newline + 1;
    try {
      decoder.decode(bytes.subarray(start, end));
    } catch {
      return line;
    }
    line++;
    start = end;
  }
  return line;
}
