import type { BytePath } from './byte-path.js';
import { textOfPath } from './byte-path.js';
import { AT_FDCWD, lastErrno, readlinkat } from './native.js';

const PATH_MAX = 4096;
const pathBytes = Buffer.alloc(PATH_MAX + 1);
/** A target is shorter than PATH_MAX on every Linux file system. */
const out = Buffer.alloc(PATH_MAX);

/** Where a symlink points to, byte for byte; the errno's name where it cannot be read. */
export function readLink(path: BytePath): { target: BytePath } | string {
  if (path.length >= PATH_MAX) return 'ENAMETOOLONG';
  pathBytes[pathBytes.write(path, 0, 'latin1')] = 0;
  return readLinkAt(AT_FDCWD, pathBytes);
}

/** The same below an open folder; `name` ends in NUL. */
export function readLinkAt(folder: number, name: Uint8Array): { target: BytePath } | string {
  const length = readlinkat(folder, name, out, PATH_MAX);
  if (length < 0) return lastErrno();
  return { target: out.toString('latin1', 0, length) as BytePath };
}

/** How an entry holds a target: exactly one of the two. */
export type LinkTargetFields = { tgt: string } | { tgt64: string };

export function linkTargetFields(target: BytePath): LinkTargetFields {
  const text = textOfPath(target);
  return text === undefined ? { tgt64: Buffer.from(target, 'latin1').toString('base64') } : { tgt: text };
}
