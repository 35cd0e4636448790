import type { Transform } from 'node:stream';
import * as zlib from 'node:zlib';
import { SysbackupError } from '../errors.js';

/** The part of `node:zlib` that came with Node 22.15 and 23.8; the types of Node 20 do not have it. */
interface ZstdFunctions {
  zstdCompressSync(bytes: Uint8Array, options: ZstdOptions): Buffer;
  zstdDecompressSync(
    bytes: Uint8Array,
    options: ZstdOptions & { info: true },
  ): { buffer: Buffer; engine: { bytesWritten: number } };
  createZstdDecompress(options?: ZstdOptions): Transform & { bytesWritten: number };
}

interface ZstdOptions {
  params?: Record<number, number>;
  chunkSize?: number;
  maxOutputLength?: number;
}

/** `ZSTD_c_compressionLevel` in zstd.h; part of its stable interface. */
export const ZSTD_LEVEL_PARAMETER = 100;

/** Node's zstd functions; undefined where this Node has none. */
export const zstd: ZstdFunctions | undefined =
  // A cast, because the installed types are those of the oldest Node; the functions are checked here.
  'zstdCompressSync' in zlib && 'zstdDecompressSync' in zlib && 'createZstdDecompress' in zlib
    ? (zlib as unknown as ZstdFunctions)
    : undefined;

/** Throws CONFIG where `compression = zstd` cannot work here. */
export function requireZstd(): ZstdFunctions {
  if (zstd) return zstd;
  throw new SysbackupError(
    'CONFIG',
    `compression = zstd needs a Node with zstd; this is ${process.version}`,
    { hint: 'Run Node 22.15 or newer, or set compression = gzip in section [content].' },
  );
}

/** Throws SYSTEM where something stored as zstd cannot be read here. */
export function requireZstdToRead(): ZstdFunctions {
  if (zstd) return zstd;
  throw new SysbackupError('SYSTEM', `this object is zstd-compressed, and Node ${process.version} has no zstd`, {
    hint: 'Run Node 22.15 or newer, or unpack it with the zstd program.',
  });
}
