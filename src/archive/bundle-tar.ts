import { once } from 'node:events';
import tar from 'tar-stream';
import type { Encoding } from '../config/compression.js';

/** One small content in a bundle. */
export interface TarMember {
  /** SHA-256 of the unencoded bytes: 32 bytes. */
  sha: Uint8Array;
  enc: Encoding | undefined;
  /** As stored. */
  bytes: Uint8Array;
}

export interface BundleTar {
  bytes: Buffer;
  /** Where each member's bytes begin, in the order given. */
  offs: number[];
}

/** A tar's unit: a header is one, and data is filled up to a multiple (POSIX.1-2017, pax, "ustar Interchange Format"). */
const RECORD = 512;
const SUFFIXES: Record<Encoding, string> = { gzip: '.gz', zstd: '.zst' };
const NO_TIME = new Date(0);

/** A tar of small contents, each under the name `<sha256>`, `<sha256>.gz` or `<sha256>.zst`. */
export async function packBundle(members: readonly TarMember[]): Promise<BundleTar> {
  const pack = tar.pack();
  const chunks: Buffer[] = [];
  pack.on('data', (chunk) => chunks.push(chunk as Buffer));
  const ended = once(pack, 'end');
  const offs: number[] = [];
  let at = 0;
  for (const { sha, enc, bytes } of members) {
    const hex = Buffer.from(sha.buffer, sha.byteOffset, sha.length).toString('hex');
    const name = `${hex}${enc === undefined ? '' : SUFFIXES[enc]}`;
    // The same bytes whoever makes them and when: names of this length need one header and no more.
    pack.entry({ name, size: bytes.length, mode: 0o444, mtime: NO_TIME, uid: 0, gid: 0 }, asBuffer(bytes));
    offs.push(at + RECORD);
    at += RECORD + Math.ceil(bytes.length / RECORD) * RECORD;
  }
  pack.finalize();
  await ended;
  return { bytes: Buffer.concat(chunks), offs };
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}
