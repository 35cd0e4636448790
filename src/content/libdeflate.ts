import { createRequire } from 'node:module';
import { SysbackupError } from '../errors.js';

/**
 * libdeflate, where the system has it: gzip in half of zlib's time. Its interface has been the same since version 1.0
 * (the 0 in its name says so), but what it writes differs from version to version, as it does from zlib's.
 */
export const LIBDEFLATE = 'libdeflate.so.0';

/** libdeflate's compressors and decompressor; for one thread. */
export interface Libdeflate {
  /** The length of the gzip member written to `to`; 0 where it does not fit. */
  gzip(bytes: Uint8Array, level: number, to: Uint8Array): number;
  /** Whether `bytes` are a gzip member that unpacks to as much as `to` takes, which has it then. */
  gunzip(bytes: Uint8Array, to: Uint8Array): boolean;
}

/**
 * The level of libdeflate that stores about as much as zlib does with a level: with 6, 0.3 % more of what is below `/usr`
 * and 3 % more of plain text, where the next one would take a fifth longer.
 */
const LEVEL_LIKE_ZLIBS = [0, 1, 1, 1, 2, 4, 4, 5, 6, 7];

let loaded: Libdeflate | null | undefined;

/** Undefined where this system has none that can be used. Looked for once. */
export function libdeflate(): Libdeflate | undefined {
  loaded ??= load() ?? null;
  return loaded ?? undefined;
}

/** Throws CONFIG where `gzip_library = libdeflate` cannot work here. */
export function requireLibdeflate(): Libdeflate {
  const found = libdeflate();
  if (found !== undefined) return found;
  throw new SysbackupError(
    'CONFIG',
    `[content] gzip_library = libdeflate needs ${LIBDEFLATE}, which this system does not have`,
    {
      hint: 'Install it (Debian and Ubuntu: libdeflate0, Fedora and Alpine: libdeflate), or set gzip_library = auto.',
    },
  );
}

function load(): Libdeflate | undefined {
  try {
    // Loaded here: what only may have to unpack something need not wait for it.
    const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi').default;
    const library = koffi.load(LIBDEFLATE);
    const allocate: (level: number) => unknown = library.func('void *libdeflate_alloc_compressor(int level)');
    const compress: (
      compressor: unknown,
      bytes: Uint8Array,
      length: number,
      to: Uint8Array,
      room: number,
    ) => number = library.func(
      'size_t libdeflate_gzip_compress(void *compressor, const uint8_t *in, size_t in_nbytes, uint8_t *out, size_t out_nbytes_avail)',
    );
    const compressors = new Map<number, unknown>();
    const compressorFor = (level: number): unknown => {
      let compressor = compressors.get(level);
      if (compressor === undefined) {
        compressor = allocate(LEVEL_LIKE_ZLIBS[level] ?? level);
        if (compressor === null) throw new Error(`libdeflate has no compressor of level ${level}`);
        compressors.set(level, compressor);
      }
      return compressor;
    };
    const allocateDecompressor: () => unknown = library.func('void *libdeflate_alloc_decompressor()');
    let decompressor: unknown = null;
    const decompress: (
      decompressor: unknown,
      bytes: Uint8Array,
      length: number,
      to: Uint8Array,
      room: number,
      read: BigUint64Array,
      written: null,
    ) => number = library.func(
      'int libdeflate_gzip_decompress_ex(void *decompressor, const uint8_t *in, size_t in_nbytes, uint8_t *out, size_t out_nbytes_avail, uint64_t *actual_in_nbytes, size_t *actual_out_nbytes)',
    );
    const read = new BigUint64Array(1);
    return {
      gunzip(bytes, to) {
        decompressor ??= allocateDecompressor();
        if (decompressor === null) return false;
        const result = decompress(decompressor, bytes, bytes.length, to, to.length, read, null);
        return result === 0 && Number(read[0]) === bytes.length;
      },
      gzip: (bytes, level, to) => Number(compress(compressorFor(level), bytes, bytes.length, to, to.length)),
    };
  } catch {
    return undefined; // not there, or for another processor
  }
}
