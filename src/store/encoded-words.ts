/**
 * Any text as US-ASCII and back, by RFC 2047 "encoded words" (`=?utf-8?q?gr=C3=BC=C3=9Fe?=`), which is what S3
 * itself answers with for metadata that is no ASCII (S3 User Guide, "User-defined object metadata").
 */

/** RFC 2047, section 2: an encoded word is at most 75 characters long, delimiters included. */
const LONGEST_WORD = 75;
const PREFIX_Q = '=?utf-8?q?';
const PREFIX_B = '=?utf-8?b?';
const SUFFIX = '?=';

const WORD = /=\?([^?\s]+)\?([bq])\?([^?]*)\?=/gi;
/** Printable ASCII that no header parser trims, no signature folds, and nothing takes for an encoded word. */
const PLAIN = /^(?! )(?!.* {2})(?!.*=\?)[\x20-\x7e]+(?<! )$/;
/** Stands for itself in a Q-encoded word, also in places of a header where less is allowed (section 5, rule 3). */
const LITERAL_IN_Q = /[A-Za-z0-9!*+\-/.,:;()]/;

/** US-ASCII from which {@link decodeWords} makes the text again. Halves of surrogate pairs become U+FFFD. */
export function encodeWords(text: string): string {
  if (PLAIN.test(text)) return text;
  const [q, b] = [encodeQ(text), encodeB(text)];
  return q.length <= b.length ? q : b;
}

/** The text of a header's value; encoded words in a charset that nobody knows stay as they are. */
export function decodeWords(value: string): string {
  let decoded = '';
  let end = 0;
  let pending: { charset: string; bytes: Buffer[] } | undefined;
  const flush = (): void => {
    if (pending !== undefined)
      decoded += new TextDecoder(pending.charset, { ignoreBOM: true }).decode(Buffer.concat(pending.bytes));
    pending = undefined;
  };
  for (const match of value.matchAll(WORD)) {
    const [whole, charsetName = '', encoding = '', content = ''] = match;
    const between = value.slice(end, match.index);
    const charset = knownCharset(charsetName);
    // Section 6.2: white space between two encoded words is not part of the text.
    const joined = pending !== undefined && charset !== undefined && /^[ \t\r\n]*$/.test(between);
    if (!joined) {
      flush();
      decoded += between;
    }
    end = match.index + whole.length;
    if (charset === undefined) {
      decoded += whole;
      continue;
    }
    // A character may be spread over words, so bytes are joined before they are decoded.
    if (pending !== undefined && pending.charset !== charset) flush();
    pending ??= { charset, bytes: [] };
    pending.bytes.push(encoding.toLowerCase() === 'b' ? Buffer.from(content, 'base64') : bytesOfQ(content));
  }
  flush();
  return decoded + value.slice(end);
}

function knownCharset(name: string): string | undefined {
  try {
    // RFC 2231, section 5: a language may follow.
    return new TextDecoder(name.replace(/\*.*$/, '')).encoding;
  } catch {
    return undefined;
  }
}

function encodeQ(text: string): string {
  const room = LONGEST_WORD - PREFIX_Q.length - SUFFIX.length;
  const words: string[] = [];
  let word = '';
  for (const char of text) {
    const encoded = char === ' ' ? '_' : LITERAL_IN_Q.test(char) ? char : escapeBytes(char);
    if (word.length + encoded.length > room) {
      words.push(word);
      word = '';
    }
    word += encoded;
  }
  words.push(word);
  return words.map((content) => `${PREFIX_Q}${content}${SUFFIX}`).join(' ');
}

function escapeBytes(char: string): string {
  return Array.from(Buffer.from(char), (byte) => `=${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(
    '',
  );
}

function encodeB(text: string): string {
  const room = Math.floor((LONGEST_WORD - PREFIX_B.length - SUFFIX.length) / 4) * 3;
  const words: Buffer[][] = [];
  let word: Buffer[] = [];
  let length = 0;
  for (const char of text) {
    const bytes = Buffer.from(char);
    if (length + bytes.length > room) {
      words.push(word);
      word = [];
      length = 0;
    }
    word.push(bytes);
    length += bytes.length;
  }
  words.push(word);
  return words.map((parts) => `${PREFIX_B}${Buffer.concat(parts).toString('base64')}${SUFFIX}`).join(' ');
}

function bytesOfQ(content: string): Buffer {
  const bytes = content
    .replaceAll('_', ' ')
    .replaceAll(/=([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(bytes, 'latin1');
}
