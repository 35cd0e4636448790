import { closeSync } from 'node:fs';
import type { BytePath } from '../files/byte-path.js';
import type { SafeDir } from '../files/safe-dir.js';
import { fstat } from '../files/stat.js';
import type { Piece } from './fetch-content.js';
import { type WriteContentOptions, writeContent } from './write-content.js';
import { refused, wrongContent } from './write-failures.js';

export interface FileContent {
  /** Undefined: not recorded, any will do. */
  sha: string | undefined;
  /** Undefined: not known. */
  size: number | undefined;
  pieces: AsyncIterable<Piece>;
}

/**
 * Writes a file under a temporary name beside its place, checks its SHA-256, and gives it its name, which takes the
 * place of whatever had it. Where anything fails, nothing is left of it, and what was there before stays.
 *
 * `complete` is called with the open file when its content is right, to set its metadata. Returns the inode's id
 * (`FileStat.inodeId`). Throws DAMAGED for wrong bytes, errors with an errno as `code` for what the file system
 * refuses (EISDIR: a folder has the name), and what the pieces throw.
 */
export async function writeFile(
  dir: SafeDir,
  name: BytePath,
  content: FileContent,
  options: WriteContentOptions & { complete?: (fd: number) => void } = {},
): Promise<string> {
  const temporary = dir.createTemporary();
  if (typeof temporary === 'string') throw refused(temporary);
  let isInPlace = false;
  try {
    const sha = await writeContent(temporary.fd, content.size, content.pieces, options);
    if (content.sha !== undefined && sha !== content.sha) throw wrongContent(sha, content.sha);
    options.complete?.(temporary.fd);
    const stat = fstat(temporary.fd);
    if (typeof stat === 'string') throw refused(stat);
    const errno = dir.rename(temporary.name, name);
    if (errno !== undefined) throw refused(errno);
    isInPlace = true;
    return stat.inodeId;
  } finally {
    closeSync(temporary.fd);
    if (!isInPlace) dir.remove(temporary.name);
  }
}
