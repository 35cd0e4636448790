import { hash } from 'node:crypto';
import { promisify } from 'node:util';
import * as zlib from 'node:zlib';
import { type Compression, type EncodedBytes, encode, mostKept } from './encode.js';
import { libdeflate } from './libdeflate.js';

const gunzip = promisify(zlib.gunzip);
const gzip = promisify<Uint8Array, zlib.ZlibOptions, Uint8Array>(zlib.gzip);

/** From what this machine stores of a content, what one with the other gzip library would have stored. */
export type OtherForm = (stored: Uint8Array) => Promise<EncodedBytes & { md5: string }>;

/**
 * Machines that compress with different libraries share contents by this: a listed version that is not what this
 * machine would store may be what the other library makes of the same bytes. Undefined where there is no other one.
 */
export function otherGzip(how: Compression): OtherForm | undefined {
  if (how.compression !== 'gzip') return undefined;
  const { level } = how;
  if (how.gzipLibrary === 'libdeflate')
    return async (stored) => {
      const bytes = await gunzip(stored);
      const packed = await gzip(bytes, { level, chunkSize: Math.max(64, bytes.length) });
      const kept = packed.length <= mostKept(bytes.length);
      const form = kept ? packed : bytes;
      return { bytes: form, enc: kept ? 'gzip' : undefined, md5: hash('md5', form) };
    };
  if (libdeflate() === undefined) return undefined;
  return async (stored) => {
    const bytes = await gunzip(stored);
    const { bytes: form, enc } = encode(bytes, { ...how, gzipLibrary: 'libdeflate' }, false);
    return { bytes: form, enc, md5: hash('md5', form) };
  };
}
