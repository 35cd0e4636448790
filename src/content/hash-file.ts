import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { throwIfAborted } from '../errors.js';

export interface FileHashes {
  /** SHA-256: 32 bytes. */
  sha: Uint8Array;
  /** MD5 in hex. */
  md5: string;
  /** Bytes read. */
  size: number;
}

const PIECE = 1024 * 1024;

/**
 * Reads a file of this program's own (a snapshot's spool) and returns what a PUT needs to know beforehand.
 * Throws Node's system errors, and ABORTED where the signal fires.
 */
export async function hashFile(path: string, signal?: AbortSignal): Promise<FileHashes> {
  const sha = createHash('sha256');
  const md5 = createHash('md5');
  const piece = Buffer.allocUnsafeSlow(PIECE);
  let size = 0;
  const file = await open(path, 'r');
  try {
    for (;;) {
      throwIfAborted(signal);
      const { bytesRead } = await file.read(piece, 0, PIECE, null);
      if (bytesRead === 0) break;
      const bytes = piece.subarray(0, bytesRead);
      sha.update(bytes);
      md5.update(bytes);
      size += bytesRead;
    }
  } finally {
    await file.close();
  }
  return { sha: sha.digest(), md5: md5.digest('hex'), size };
}
