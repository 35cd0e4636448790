import { createHash } from 'node:crypto';
import { closeSync, read } from 'node:fs';
import { promisify } from 'node:util';
import { throwIfAborted } from '../errors.js';
import type { BytePath } from '../files/byte-path.js';
import type { SafeDir } from '../files/safe-dir.js';

const PIECE = 1024 * 1024;
const readAsync = promisify(read);

/**
 * Whether a file that is there has this content. One that cannot be read, or grows or shrinks meanwhile, has not.
 * Throws ABORTED.
 */
export async function hasContent(
  dir: SafeDir,
  name: BytePath,
  { sha, size = Infinity }: { sha: string; size?: number },
  signal?: AbortSignal,
): Promise<boolean> {
  const opened = dir.openFile(name);
  if (typeof opened === 'string') return false;
  try {
    const hash = createHash('sha256');
    const piece = Buffer.allocUnsafe(Math.min(PIECE, size + 1));
    let at = 0;
    for (;;) {
      throwIfAborted(signal);
      const { bytesRead } = await readAsync(opened.fd, piece, 0, piece.length, at).catch(unreadable);
      if (bytesRead === 0) break;
      hash.update(piece.subarray(0, bytesRead));
      at += bytesRead;
      if (at > size) return false;
    }
    return (at === size || size === Infinity) && hash.digest('hex') === sha;
  } finally {
    closeSync(opened.fd);
  }
}

/** A bad sector: the content is then brought anew. */
function unreadable(): { bytesRead: number } {
  return { bytesRead: 0 };
}
