/**
 * A path as the kernel knows it: bytes. Held as a string in which each character is one byte (latin-1), so that
 * comparing, cutting, joining and hashing are what strings are fast at, string order is byte order, and names
 * that are no UTF-8 pass through unharmed. Not for showing: see {@link displayPath}.
 */
declare const brand: unique symbol;
export type BytePath = string & { readonly [brand]: true };

const NON_ASCII = /[^\x00-\x7f]/;

export function pathFromBytes(bytes: Uint8Array): BytePath {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1') as BytePath;
}

/** From text, as UTF-8. */
export function pathFromText(text: string): BytePath {
  return (NON_ASCII.test(text) ? Buffer.from(text, 'utf8').toString('latin1') : text) as BytePath;
}

/** What Node's fs functions take: a string where that is safe and faster, bytes otherwise. */
export function pathForFs(path: BytePath): string | Buffer {
  return NON_ASCII.test(path) ? Buffer.from(path, 'latin1') : path;
}

/** NUL-terminated bytes for system calls. */
export function pathForSyscall(path: BytePath): Buffer {
  return Buffer.from(`${path}\0`, 'latin1');
}

/** The path as text; undefined where its bytes are no valid UTF-8. */
export function textOfPath(path: BytePath): string | undefined {
  if (!NON_ASCII.test(path)) return path;
  const bytes = Buffer.from(path, 'latin1');
  const text = bytes.toString('utf8');
  return Buffer.from(text, 'utf8').equals(bytes) ? text : undefined;
}

/** For people: UTF-8 where valid, and everything that could upset a terminal or a log as `\xNN`. */
export function displayPath(path: string): string {
  const text = textOfPath(path as BytePath);
  const shown = text ?? path.replaceAll(/[\x80-\xff]/g, escapeByte);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is escaped
  return shown.replaceAll(/[\x00-\x1f\x7f]/g, escapeByte);
}

function escapeByte(char: string): string {
  return `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`;
}

/** The folder a path is in; `/` is in itself. */
export function parentOf(path: BytePath): BytePath {
  const slash = path.lastIndexOf('/');
  return (slash <= 0 ? '/' : path.slice(0, slash)) as BytePath;
}

export function baseOf(path: BytePath): BytePath {
  return path.slice(path.lastIndexOf('/') + 1) as BytePath;
}

export function joinPath(folder: BytePath, name: string): BytePath {
  return (folder === '/' ? `/${name}` : `${folder}/${name}`) as BytePath;
}
